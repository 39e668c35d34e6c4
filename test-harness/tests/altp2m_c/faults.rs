// SPDX-License-Identifier: GPL-2.0-only
//! The tests are no better than what they notice: faults in the C, and a test that must fail with
//! each. A test with a fault runs in a process of its own, which may end at a null pointer.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::Command;

use crate::library::{compile, Tree, PLANTED};

/// What is in the C once, what takes its place, and the test that notices.
type Fault = (&'static str, &'static str, &'static str);

const CREATION: [Fault; 16] = [
    (
        "config_opts(config) != XEN_DOMCTL_ALTP2M_external",
        "!(config_opts(config) & XEN_DOMCTL_ALTP2M_external)",
        "a_domain_is_created_in_external_mode_alone",
    ),
    (
        "!config_nr(config) || ",
        "",
        "a_domain_is_created_with_one_to_ten_views",
    ),
    (
        "|| config_nr(config) > P2M_VIEWS",
        "|| config_nr(config) >= P2M_VIEWS",
        "a_domain_is_created_with_one_to_ten_views",
    ),
    (
        "|| config_nr(config) > P2M_VIEWS",
        "|| config_nr(config) > P2M_VIEWS + 1",
        "a_domain_is_created_with_one_to_ten_views",
    ),
    (
        "    if ( !config_opts(config) )\n        return 0;\n",
        "",
        "a_domain_that_is_created_without_altp2m_has_nothing_for_views",
    ),
    (
        "    if ( !views )\n        return -ENOMEM;\n",
        "",
        "a_domain_is_not_created_if_there_is_no_memory_for_its_views",
    ),
    (
        "return -ENOMEM;",
        "return -EINVAL;",
        "a_domain_is_not_created_if_there_is_no_memory_for_its_views",
    ),
    (
        "= P2M_NO_VIEW;",
        "= 0;",
        "a_domain_that_is_created_with_altp2m_may_have_views_and_uses_none",
    ),
    (
        "cpu < ARRAY_SIZE(views->last_ran)",
        "cpu < ARRAY_SIZE(views->last_ran) - 1",
        "a_domain_that_is_created_with_altp2m_may_have_views_and_uses_none",
    ),
    (
        "views->nr = config_nr(config);",
        "views->nr = P2M_VIEWS;",
        "a_domain_that_is_created_with_altp2m_may_have_views_and_uses_none",
    ),
    (
        "    d->arch.hvm.params[HVM_PARAM_ALTP2M] = XEN_ALTP2M_external;\n",
        "",
        "a_domain_that_is_created_with_altp2m_may_have_views_and_uses_none",
    ),
    (
        "XFREE(d->arch.p2m.views);",
        "xfree(d->arch.p2m.views);",
        "a_domain_that_is_created_with_altp2m_may_have_views_and_uses_none",
    ),
    (
        "XFREE(d->arch.p2m.views);",
        "d->arch.p2m.views = NULL;",
        "a_domain_that_is_created_with_altp2m_may_have_views_and_uses_none",
    ),
    (
        "? -EEXIST : -EINVAL",
        "? -EPERM : -EINVAL",
        "the_parameter_can_be_read_and_never_set",
    ),
    (
        "param == HVM_PARAM_ALTP2M ? -EEXIST",
        "param >= HVM_PARAM_ALTP2M ? -EEXIST",
        "the_parameter_can_be_read_and_never_set",
    ),
    (
        "param == HVM_PARAM_ALTP2M ? 0",
        "param != 0 ? 0",
        "the_parameter_can_be_read_and_never_set",
    ),
];

const ANSWERS: [Fault; 10] = [
    (
        "#define p2m_altp2m_check(v, idx) altp2m_answered(v, idx)\n",
        "",
        "a8_an_answer_waits_until_the_vcpu_has_left_its_cpu",
    ),
    (
        "!altp2m_active(v->domain) || ",
        "",
        "a7_an_answer_for_a_domain_that_does_not_use_views_any_more_changes_nothing",
    ),
    (
        " || view >= P2M_VIEWS",
        "",
        "an_answer_that_names_a_view_that_there_is_not_changes_nothing",
    ),
    (
        "    if ( altp2m_vcpu_idx(v) == view )\n        return;\n",
        "",
        "an_answer_that_names_the_view_that_the_vcpu_is_in_waits_for_nothing",
    ),
    (
        "altp2m_vcpu_idx(v) == view",
        "altp2m_vcpu_idx(v) >= view",
        "a8_an_answer_waits_until_the_vcpu_has_left_its_cpu",
    ),
    (
        "altp2m_vcpu_idx(v) == view",
        "!view",
        "a8_an_answer_waits_until_the_vcpu_has_left_its_cpu",
    ),
    (
        "    vcpu_pause(v);\n",
        "",
        "a8_an_answer_waits_until_the_vcpu_has_left_its_cpu",
    ),
    (
        "    vcpu_unpause(v);\n",
        "",
        "a8_an_answer_waits_until_the_vcpu_has_left_its_cpu",
    ),
    (
        "    p2m_view_switch_vcpu(v, view);\n    vcpu_unpause(v);\n",
        "    vcpu_unpause(v);\n    p2m_view_switch_vcpu(v, view);\n",
        "a8_an_answer_waits_until_the_vcpu_has_left_its_cpu",
    ),
    (
        "p2m_view_switch_vcpu(v, view);",
        "p2m_view_switch_domain(v->domain, view);",
        "an_answer_changes_the_view_of_one_vcpu",
    ),
];

const REFUSALS: [Fault; 35] = [
    (
        "    rc = -EOPNOTSUPP;\n    if ( a.cmd",
        "    rc = -EINVAL;\n    if ( !d->arch.hvm.params[HVM_PARAM_ALTP2M] )\n        goto out;\n    rc = -EOPNOTSUPP;\n    if ( a.cmd",
        "of_several_errors_the_first_in_the_order_of_x86_is_reported",
    ),
    (
        "    rc = xsm_hvm_altp2mhvm_op(",
        "    rc = -EPERM;\n    if ( d == current->domain )\n        goto out;\n    rc = xsm_hvm_altp2mhvm_op(",
        "of_several_errors_the_first_in_the_order_of_x86_is_reported",
    ),
    (
        "    rc = -EPERM;\n    if ( d == current",
        "    rc = -ESRCH;\n    if ( d->is_dying && adds_something(&a) )\n        goto out;\n    rc = -EPERM;\n    if ( d == current",
        "of_several_errors_the_first_in_the_order_of_x86_is_reported",
    ),
    (
        "op != HVMOP_altp2m",
        "(op & 0x7fff) != HVMOP_altp2m",
        "only_altp2ms_operations_are_taken",
    ),
    (
        "copy_from_guest(&a, arg, 1) )\n        return -EFAULT;",
        "copy_from_guest(&a, arg, 1) )\n        return -EINVAL;",
        "a_structure_that_cannot_be_read_is_refused_and_no_domain_is_looked_for",
    ),
    (
        "a.pad1 || a.pad2",
        "a.pad2",
        "padding_and_other_versions_are_refused_and_no_domain_is_looked_for",
    ),
    (
        "a.pad1 || a.pad2",
        "a.pad1",
        "padding_and_other_versions_are_refused_and_no_domain_is_looked_for",
    ),
    (
        "a.version != HVMOP_ALTP2M_INTERFACE_VERSION",
        "a.version < HVMOP_ALTP2M_INTERFACE_VERSION",
        "padding_and_other_versions_are_refused_and_no_domain_is_looked_for",
    ),
    (
        "a.cmd < HVMOP_altp2m_get_domain_state ||\n         ",
        "",
        "an_operation_that_there_is_not_is_refused_and_no_domain_is_looked_for",
    ),
    (
        "a.cmd > HVMOP_altp2m_set_visibility",
        "a.cmd > HVMOP_altp2m_set_visibility + 1",
        "an_operation_that_there_is_not_is_refused_and_no_domain_is_looked_for",
    ),
    (
        "a.cmd > HVMOP_altp2m_set_visibility",
        "a.cmd >= HVMOP_altp2m_set_visibility",
        "each_operation_is_done_if_nothing_is_wrong_with_it",
    ),
    (
        "    if ( !d )\n        return -ESRCH;\n",
        "",
        "a_domain_that_there_is_not_is_refused",
    ),
    (
        "    if ( !d )\n        return -ESRCH;\n",
        "    if ( !d )\n        return -EINVAL;\n",
        "a_domain_that_there_is_not_is_refused",
    ),
    (
        "rcu_lock_domain_by_any_id(a.domain)",
        "rcu_lock_domain_by_any_id(a.domain & 0xff)",
        "a_domain_that_there_is_not_is_refused",
    ),
    (
        "!altp2m_active(d)",
        "false",
        "a_domain_that_does_not_use_views_is_refused_all_but_its_state",
    ),
    (
        "d->arch.p2m.views && ACCESS_ONCE(d->arch.p2m.views->active)",
        "d->arch.p2m.views",
        "a_domain_that_does_not_use_views_is_refused_all_but_its_state",
    ),
    (
        "d->arch.p2m.views && ACCESS_ONCE(d->arch.p2m.views->active)",
        "ACCESS_ONCE(d->arch.p2m.views->active)",
        "a_domain_that_was_not_created_for_views_is_refused_its_state_too",
    ),
    (
        "!altp2m_active(d) )\n        goto out;",
        "!altp2m_active(d) )\n        return rc;",
        "a_domain_that_does_not_use_views_is_refused_all_but_its_state",
    ),
    (
        "if ( a.cmd != HVMOP_altp2m_get_domain_state &&",
        "if ( true &&",
        "a_domain_that_does_not_use_views_is_refused_all_but_its_state",
    ),
    (
        "         a.cmd != HVMOP_altp2m_set_domain_state && ",
        "         ",
        "a_domain_that_does_not_use_views_is_refused_all_but_its_state",
    ),
    (
        "    if ( mode == XEN_ALTP2M_disabled )\n        goto out;\n",
        "",
        "a_domain_that_was_not_created_for_views_is_refused_its_state_too",
    ),
    (
        "    rc = -EINVAL;\n    mode = ",
        "    rc = -EPERM;\n    mode = ",
        "a_domain_that_was_not_created_for_views_is_refused_its_state_too",
    ),
    (
        "    rc = xsm_hvm_altp2mhvm_op(XSM_OTHER, d, mode, a.cmd);\n    if ( rc )\n        goto out;\n",
        "",
        "xsm_is_asked_once_of_each_operation_with_the_domains_mode",
    ),
    (
        "a.cmd);\n    if ( rc )\n        goto out;\n",
        "a.cmd);\n",
        "what_xsm_answers_is_the_answer",
    ),
    (
        "a.cmd);\n    if ( rc )\n        goto out;\n",
        "a.cmd);\n    if ( rc )\n        return -EPERM;\n",
        "what_xsm_answers_is_the_answer",
    ),
    (
        "(XSM_OTHER, d, mode, a.cmd)",
        "(XSM_OTHER, d, XEN_ALTP2M_external, a.cmd)",
        "xsm_decides_by_the_mode_that_the_domain_has",
    ),
    (
        "(XSM_OTHER, d, mode, a.cmd)",
        "(XSM_OTHER, current->domain, mode, a.cmd)",
        "xsm_is_asked_once_of_each_operation_with_the_domains_mode",
    ),
    (
        "    if ( d == current->domain )\n        goto out;\n",
        "",
        "a_domain_may_do_nothing_to_itself_whatever_xsm_says",
    ),
    (
        "    if ( d == current->domain )\n        goto out;\n",
        "    if ( d == current->domain )\n        return rc;\n",
        "a_domain_may_do_nothing_to_itself_whatever_xsm_says",
    ),
    (
        "    if ( d->is_dying && adds_something(&a) )\n        goto out;\n",
        "",
        "a_dying_domain_is_given_nothing_and_may_lose_what_it_has",
    ),
    (
        "is_dying && adds_something(&a) )\n        goto out;",
        "is_dying && adds_something(&a) )\n        return rc;",
        "a_dying_domain_is_given_nothing_and_may_lose_what_it_has",
    ),
    (
        "    case HVMOP_altp2m_destroy_p2m:\n        return false;",
        "        return false;",
        "a_dying_domain_is_given_nothing_and_may_lose_what_it_has",
    ),
    (
        "return a->u.domain_state.state;",
        "return true;",
        "a_dying_domain_is_given_nothing_and_may_lose_what_it_has",
    ),
    (
        "return a->u.domain_state.state;",
        "return false;",
        "a_dying_domain_is_given_nothing_and_may_lose_what_it_has",
    ),
    (
        "    rcu_unlock_domain(d);\n",
        "",
        "each_operation_is_done_if_nothing_is_wrong_with_it",
    ),
];

const OPERATIONS: [Fault; 36] = [
    (
        "a->u.domain_state.state = altp2m_active(d);",
        "a->u.domain_state.state = !!d->arch.p2m.views;",
        "the_state_is_told_and_changed",
    ),
    (
        "p2m_views_set_use(d, state)",
        "p2m_views_set_use(d, true)",
        "the_state_is_told_and_changed",
    ),
    (
        "set_domain_state(d, a->u.domain_state.state)",
        "set_domain_state(d, a->u.domain_state.state == 1)",
        "the_state_is_told_and_changed",
    ),
    (
        "    domain_pause(d);\n    rc = p2m_views_set_use",
        "    rc = p2m_views_set_use",
        "the_domain_is_paused_while_its_use_of_views_changes",
    ),
    (
        "p2m_views_set_use(d, state);\n    domain_unpause(d);\n",
        "p2m_views_set_use(d, state);\n",
        "the_domain_is_paused_while_its_use_of_views_changes",
    ),
    (
        "    domain_pause(d);\n    rc = p2m_view_switch",
        "    domain_pause(d);\n    domain_unpause(d);\n    domain_pause(d);\n    rc = p2m_view_switch",
        "all_vcpus_go_on_in_the_view_and_are_paused_meanwhile",
    ),
    (
        "return switch_p2m(d, a->u.view.view);",
        "return p2m_view_switch_domain(d, a->u.view.view);",
        "all_vcpus_go_on_in_the_view_and_are_paused_meanwhile",
    ),
    (
        "p2m_view_switch_domain(d, view);\n    domain_unpause(d);\n",
        "p2m_view_switch_domain(d, view);\n    if ( !rc )\n        domain_unpause(d);\n",
        "all_vcpus_go_on_in_the_view_and_are_paused_meanwhile",
    ),
    (
        "        if ( a->u.enable_notify.pad )\n            return -EINVAL;\n",
        "",
        "there_are_no_virtualisation_exceptions",
    ),
    (
        "domain_vcpu(d, vcpu_id) ? -EOPNOTSUPP : -EINVAL",
        "-EOPNOTSUPP",
        "there_are_no_virtualisation_exceptions",
    ),
    (
        "get_suppress_ve:\n        return -EOPNOTSUPP;",
        "get_suppress_ve:\n        return -EINVAL;",
        "there_are_no_virtualisation_exceptions",
    ),
    (
        "a->u.view.hvmmem_default_access",
        "(uint8_t)a->u.view.hvmmem_default_access",
        "a_new_view_has_the_default_access_that_is_asked_for",
    ),
    (
        "&a->u.view.view);\n        if ( rc )\n            return rc;\n",
        "&a->u.view.view);\n",
        "a_new_view_has_the_lowest_number_that_is_free",
    ),
    (
        "            return -EFAULT;\n        rc = p2m_view_create",
        "            rc = -EFAULT;\n        rc = p2m_view_create",
        "a_view_whose_number_nobody_learns_is_not_created",
    ),
    (
        "&a->u.view.view);\n        if ( rc )\n            return rc;\n        break;",
        "&a->u.view.view);\n        if ( rc )\n            return rc;\n        \
         if ( !__copy_to_guest(arg, a, 1) )\n            return 0;\n        \
         p2m_view_destroy(d, a->u.view.view);\n        return -EFAULT;",
        "a_view_whose_number_can_suddenly_not_be_told_stays",
    ),
    (
        "return p2m_view_destroy(d, a->u.view.view);",
        "return a->u.view.view ? p2m_view_destroy(d, a->u.view.view) : -EINVAL;",
        "a_view_in_which_a_vcpu_is_and_one_that_there_is_not_are_busy",
    ),
    (
        "        if ( a->u.mem_access.pad )\n            return -EINVAL;\n        return",
        "        return",
        "an_access_that_cannot_be_set_is_refused",
    ),
    (
        "_gfn(a->u.mem_access.gfn), 1, 0, 0,",
        "_gfn(a->u.mem_access.gfn), 2, 0, 0,",
        "the_access_of_a_page_is_set_in_one_view",
    ),
    (
        "a->u.mem_access.access,\n                                  a->u.mem_access.view",
        "a->u.mem_access.access,\n                                  0",
        "the_access_of_a_page_is_set_in_one_view",
    ),
    (
        "a->u.mem_access.access,\n                                  a",
        "a->u.mem_access.access & 0xff,\n                                  a",
        "an_access_that_cannot_be_set_is_refused",
    ),
    (
        "        if ( a->u.mem_access.pad )\n            return -EINVAL;\n\n",
        "",
        "the_access_of_no_page_is_not_told",
    ),
    (
        "        if ( rc )\n            return rc;\n        a->u.mem_access.access",
        "        a->u.mem_access.access",
        "the_access_of_no_page_is_not_told",
    ),
    (
        "        a->u.mem_access.access = access;\n",
        "",
        "the_access_of_a_page_is_set_in_one_view",
    ),
    (
        "&access,\n                                a->u.mem_access.view",
        "&access,\n                                1",
        "the_access_of_a_page_is_set_in_one_view",
    ),
    (
        "a->u.change_gfn.pad1 || a->u.change_gfn.pad2",
        "a->u.change_gfn.pad1",
        "a_page_is_shown_at_another_frame_and_given_back",
    ),
    (
        "a->u.change_gfn.pad1 || a->u.change_gfn.pad2",
        "a->u.change_gfn.pad2",
        "a_page_is_shown_at_another_frame_and_given_back",
    ),
    (
        "_gfn(a->u.change_gfn.old_gfn)",
        "_gfn(a->u.change_gfn.new_gfn)",
        "a_page_is_shown_at_another_frame_and_given_back",
    ),
    (
        "        if ( !v )\n            return -EINVAL;\n",
        "",
        "the_view_of_a_vcpu_is_told",
    ),
    (
        "altp2m_idx = altp2m_vcpu_idx(v)",
        "altp2m_idx = altp2m_vcpu_idx(current)",
        "the_view_of_a_vcpu_is_told",
    ),
    (
        "        if ( a->u.set_visibility.pad )\n            return -EINVAL;\n",
        "",
        "a_view_is_hidden_and_shown",
    ),
    (
        "a->u.set_visibility.visible);",
        "true);",
        "a_view_is_hidden_and_shown",
    ),
    (
        "return __copy_to_guest(arg, a, 1) ? -EFAULT : 0;",
        "__copy_to_guest(arg, a, 1);\n    return 0;",
        "only_what_has_an_answer_writes_to_the_callers_structure",
    ),
    (
        "return p2m_view_destroy(d, a->u.view.view);",
        "rc = p2m_view_destroy(d, a->u.view.view);\n        break;",
        "only_what_has_an_answer_writes_to_the_callers_structure",
    ),
    (
        "    d = rcu_lock_domain_by_any_id(",
        "    if ( copy_from_guest(&a, arg, 1) )\n        return -EFAULT;\n    d = rcu_lock_domain_by_any_id(",
        "an_operation_is_the_one_that_was_read_first",
    ),
    (
        "a->u.set_mem_access_multi.pad ||\n             ",
        "",
        "lists::a_list_that_cannot_be_set_is_refused",
    ),
    (
        "opaque > a->u.set_mem_access_multi.nr )",
        "opaque > a->u.set_mem_access_multi.nr + 1 )",
        "lists::a_list_that_cannot_be_set_is_refused",
    ),
];

const CONTINUATIONS: [Fault; 11] = [
    (
        "opaque > a->u.set_mem_access_multi.nr )",
        "opaque >= a->u.set_mem_access_multi.nr )",
        "lists::a_list_that_cannot_be_set_is_refused",
    ),
    (
        "             a->u.set_mem_access_multi.opaque > ",
        "             (uint32_t)a->u.set_mem_access_multi.opaque > ",
        "lists::a_list_that_cannot_be_set_is_refused",
    ),
    (
        "opaque, 0x3f,",
        "opaque, 0x7f,",
        "a_list_goes_on_where_it_was_preempted",
    ),
    (
        "        if ( done <= 0 )\n            return done;\n",
        "        if ( done < 0 )\n            return done;\n",
        "lists::the_accesses_of_a_list_are_set_in_one_view",
    ),
    (
        "        a->u.set_mem_access_multi.opaque = done;\n",
        "",
        "a_list_goes_on_where_it_was_preempted",
    ),
    (
        "__copy_field_to_guest(guest_handle_cast(arg, xen_hvm_altp2m_op_t),\n                                   a, u.set_mem_access_multi.opaque)",
        "__copy_to_guest(arg, a, 1)",
        "a_list_goes_on_where_it_was_preempted",
    ),
    (
        "            return -EFAULT;\n        return -ERESTART;",
        "            return 0;\n        return -ERESTART;",
        "a_list_whose_restart_point_cannot_be_written_ends_and_what_was_set_stays",
    ),
    (
        "        return -ERESTART;",
        "        return 0;",
        "a_list_goes_on_where_it_was_preempted",
    ),
    (
        "a->u.set_mem_access_multi.opaque, 0x3f",
        "0, 0x3f",
        "a_list_goes_on_where_it_was_preempted",
    ),
    (
        "rc = hypercall_create_continuation(__HYPERVISOR_hvm_op, \"lh\",\n                                           HVMOP_altp2m, arg);",
        ";",
        "a_list_goes_on_where_it_was_preempted",
    ),
    (
        "                                           HVMOP_altp2m, arg",
        "                                           HVMOP_altp2m | 1UL << 16, arg",
        "a_list_goes_on_where_it_was_preempted",
    ),
];

/// Whether a test passes with the C of that folder, in a process of its own.
fn passes(test: &str, folder: &Path) -> bool {
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", test])
        .env(PLANTED, folder)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("running 1 test\n"), "there is no test {test}");
    run.status.success()
}

/// Runs one test with each fault, and says which it has not noticed.
fn are_noticed(file: &str, faults: &[Fault]) {
    let mut missed = Vec::new();
    // Two trees make a difference to a domain's creation alone.
    let trees = &Tree::ALL[..if file == "creation" { 2 } else { 1 }];
    let (sound, _) = compile(&format!("{file}_sound"), trees, |text| text);
    let mut tests = BTreeSet::new();
    for (n, &(from, to, test)) in faults.iter().enumerate() {
        let test = if test.contains("::") {
            test.to_owned()
        } else {
            format!("{file}::{test}")
        };
        let places = Cell::new(0);
        let (folder, _) = compile(&format!("{file}{n}"), trees, |text| {
            places.set(places.get() + text.matches(from).count());
            text.replace(from, to)
        });
        assert_eq!(places.get(), 1, "{from}");
        if passes(&test, &folder) {
            missed.push((from, to, test.clone()));
        }
        // It is the fault that makes it fail.
        if tests.insert(test.clone()) {
            assert!(passes(&test, &sound), "{test}");
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:#?}");
}

#[test]
fn each_fault_in_what_a_domain_is_created_with_is_noticed() {
    are_noticed("creation", &CREATION);
}

#[test]
fn each_fault_in_what_an_answer_does_is_noticed() {
    are_noticed("answers", &ANSWERS);
}

#[test]
fn each_fault_in_what_is_refused_is_noticed() {
    are_noticed("refusals", &REFUSALS);
}

#[test]
fn each_fault_in_an_operation_is_noticed() {
    are_noticed("operations", &OPERATIONS);
}

#[test]
fn each_fault_in_what_is_preempted_is_noticed() {
    are_noticed("continuations", &CONTINUATIONS);
}
