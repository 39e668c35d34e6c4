/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What altp2m.c and its headers need of Xen, on a host. The structures are
 * those of xen-sys' mock, on which the Rust works as well; the interface with
 * guests is that of public/hvm/hvm_op.h; the macros are those of
 * xen/guest_access.h. Functions end in the test (calls.c).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifndef WITHOUT_ALTP2M /* But for without.c. */
# define CONFIG_ALTP2M 1
#endif

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define __maybe_unused __attribute__((__unused__))
#define typeof_field(type, member) typeof(((type *)NULL)->member)

#define EPERM 1
#define ESRCH 3
#define ENOMEM 12
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define EINVAL 22
#define ERESTART 85
#define EOPNOTSUPP 95

#define XENLOG_INFO
/* The compiler looks at the format. */
#define dprintk(level, ...) ((void)(0 && printf(level __VA_ARGS__)))

#define NR_CPUS 8
#define BUILD_BUG_ON(x) _Static_assert(!(x), #x)
#define ACCESS_ONCE(x) (*(volatile typeof(x) *)&(x))

typedef struct { unsigned long gfn; } gfn_t;
#define _gfn(n) ((gfn_t){ n })
typedef unsigned long mfn_t;
typedef uint16_t domid_t;
typedef unsigned int p2m_access_t, xenmem_access_t;
typedef struct { uint64_t words[2]; } rwlock_t, spinlock_t;
struct page_list_head { uint64_t words[2]; };
struct page_info;
struct domain;
struct vcpu;

/* asm/p2m.h, as the mock has it. */
struct p2m_domain {
    rwlock_t lock;
    struct page_list_head pages;
    struct page_info *root;
    uint16_t vmid;
    uint64_t vttbr;
    gfn_t max_mapped_gfn;
    gfn_t lowest_mapped_gfn;
    bool clean_pte;
    bool need_flush;
    struct { unsigned long mappings[4], shattered[4]; } stats;
    bool access_required;
    bool mem_access_enabled;
    p2m_access_t default_access;
    struct { unsigned int height; uint64_t rnode; } mem_access_settings;
    struct domain *domain;
    uint8_t last_vcpu_ran[NR_CPUS];
    struct p2m_views *views;
};

/* public/arch-arm.h: a word that holds a guest pointer. */
#define DEFINE_HANDLE(name, type) \
    typedef union { type *p; unsigned long q; } __guest_handle_##name
#define XEN_GUEST_HANDLE(name) __guest_handle_##name
#define XEN_GUEST_HANDLE_PARAM(name) __guest_handle_##name
DEFINE_HANDLE(void, void);
DEFINE_HANDLE(const_uint64, const uint64_t);
DEFINE_HANDLE(const_uint8, const uint8_t);

/*
 * What takes the view of a monitor's answer: in asm/p2m.h up to 4.20, where Arm
 * has no views, and in xen/p2m-common.h from 4.21 on.
 */
#ifdef CONFIG_ALTP2M_NR
void p2m_altp2m_check(struct vcpu *v, uint16_t idx);
#else
static inline void p2m_altp2m_check(struct vcpu *v, uint16_t idx) {}
#endif

#include <asm/p2m-views.h>

struct domain {
    domid_t domain_id;
    unsigned int is_dying;
    bool is_shutting_down;
    void *vm_event_monitor;
    struct {
        struct p2m_domain p2m;
        struct {
            spinlock_t lock;
            struct page_list_head p2m_freelist;
            unsigned long p2m_total_pages;
        } paging;
        struct { uint64_t params[39]; } hvm;
    } arch;
};

struct vcpu {
    int vcpu_id;
    struct domain *domain;
    struct {
        uint64_t sctlr;
        uint64_t hcr_el2;
        bool need_flush_to_ram;
        uint16_t p2m_view;
    } arch;
};

/* public/domctl.h: up to 4.20, and from 4.21 on. */
struct xen_domctl_createdomain {
#ifdef CONFIG_ALTP2M_NR
    struct { uint16_t opts, nr; } altp2m;
#else
    uint32_t altp2m_opts;
#endif
};
#define XEN_DOMCTL_ALTP2M_external 2U

/* public/hvm/params.h */
#define HVM_PARAM_ALTP2M 35
#define XEN_ALTP2M_disabled 0
#define XEN_ALTP2M_external 2

/* public/hvm/hvm_op.h */
#define __HYPERVISOR_hvm_op 34
#define HVMOP_altp2m 25
#define HVMOP_ALTP2M_INTERFACE_VERSION 0x00000001
#define HVMOP_altp2m_get_domain_state 1
#define HVMOP_altp2m_set_domain_state 2
#define HVMOP_altp2m_vcpu_enable_notify 3
#define HVMOP_altp2m_create_p2m 4
#define HVMOP_altp2m_destroy_p2m 5
#define HVMOP_altp2m_switch_p2m 6
#define HVMOP_altp2m_set_mem_access 7
#define HVMOP_altp2m_change_gfn 8
#define HVMOP_altp2m_set_mem_access_multi 9
#define HVMOP_altp2m_set_suppress_ve 10
#define HVMOP_altp2m_get_suppress_ve 11
#define HVMOP_altp2m_get_mem_access 12
#define HVMOP_altp2m_vcpu_disable_notify 13
#define HVMOP_altp2m_get_p2m_idx 14
#define HVMOP_altp2m_set_suppress_ve_multi 15
#define HVMOP_altp2m_set_visibility 16

typedef struct xen_hvm_altp2m_op {
    uint32_t version;
    uint32_t cmd;
    domid_t domain;
    uint16_t pad1;
    uint32_t pad2;
    union {
        struct { uint8_t state; } domain_state;
        struct { uint32_t vcpu_id, pad; uint64_t gfn; } enable_notify;
        struct { uint16_t view, hvmmem_default_access; } view;
        struct {
            uint16_t view, access;
            uint32_t pad;
            uint64_t gfn;
        } mem_access;
        struct {
            uint16_t view, pad1;
            uint32_t pad2;
            uint64_t old_gfn, new_gfn;
        } change_gfn;
        struct {
            uint16_t view, pad;
            uint32_t nr;
            uint64_t opaque;
            XEN_GUEST_HANDLE(const_uint64) pfn_list;
            XEN_GUEST_HANDLE(const_uint8) access_list;
        } set_mem_access_multi;
        struct { uint32_t vcpu_id; } disable_notify;
        struct { uint32_t vcpu_id; uint16_t altp2m_idx; } get_vcpu_p2m_idx;
        struct { uint16_t altp2m_idx; uint8_t visible, pad; } set_visibility;
        uint8_t pad[64];
    } u;
} xen_hvm_altp2m_op_t;
DEFINE_HANDLE(xen_hvm_altp2m_op_t, xen_hvm_altp2m_op_t);

/* xen/guest_access.h */
#define guest_handle_cast(hnd, type) ({    \
    type *_x = (hnd).p;                    \
    (XEN_GUEST_HANDLE_PARAM(type)) { _x }; \
})
#define __copy_to_guest(hnd, ptr, nr) ({             \
    const typeof(*(ptr)) *_s = (ptr);                \
    void *__maybe_unused _t = (hnd).p;               \
    (void)((hnd).p == _s);                           \
    raw_copy_to_guest((hnd).p, _s, (nr) * sizeof(*_s)); \
})
#define copy_from_guest(ptr, hnd, nr) ({               \
    typeof(*(ptr)) *_d = (ptr);                        \
    (void)((hnd).p == _d);                             \
    raw_copy_from_guest(_d, (hnd).p, (nr) * sizeof(*_d)); \
})
#define __copy_field_to_guest(hnd, ptr, field) ({                    \
    const typeof(&(ptr)->field) _s = &(ptr)->field;                  \
    unsigned long d_ = (unsigned long)(hnd).p;                       \
    (void)((typeof_field(typeof(*(hnd).p), field) *)NULL == _s);     \
    raw_copy_to_guest((void *)(d_ + offsetof(typeof(*(hnd).p), field)), \
                      _s, sizeof(*_s));                              \
})

/* xsm/xsm.h */
#define XSM_OTHER 5

/* xen/xmalloc.h */
#define xzalloc(type) ((type *)xzalloc_bytes(sizeof(type)))
#define XFREE(p) do {    \
    void *_ptr_ = (p);   \
    (p) = NULL;          \
    xfree(_ptr_);        \
} while ( 0 )

#define current get_current()
#define ASSERT_UNREACHABLE() assert_unreachable()
#define hypercall_create_continuation(nr, format, op, arg) \
    create_continuation(nr, format, op, (arg).p)

/*
 * All that altp2m.c calls: what it returns, its name, its parameters, and
 * their names. Those of libxen_p2m.a have their prototypes in asm/p2m-views.h
 * as well, and the compiler compares.
 */
#define CALLS(CALL) \
    CALL(struct vcpu *, get_current, (void), ()) \
    CALL(void, assert_unreachable, (void), ()) \
    CALL(void, domain_pause, (struct domain *d), (d)) \
    CALL(void, domain_unpause, (struct domain *d), (d)) \
    CALL(void, vcpu_pause, (struct vcpu *v), (v)) \
    CALL(void, vcpu_unpause, (struct vcpu *v), (v)) \
    CALL(struct domain *, rcu_lock_domain_by_any_id, (domid_t id), (id)) \
    CALL(void, rcu_unlock_domain, (struct domain *d), (d)) \
    CALL(struct vcpu *, domain_vcpu, \
         (const struct domain *d, unsigned int id), (d, id)) \
    CALL(int, xsm_hvm_altp2mhvm_op, \
         (int action, struct domain *d, uint64_t mode, uint32_t op), \
         (action, d, mode, op)) \
    CALL(unsigned long, raw_copy_from_guest, \
         (void *to, const void *from, unsigned int len), (to, from, len)) \
    CALL(unsigned long, raw_copy_to_guest, \
         (void *to, const void *from, unsigned int len), (to, from, len)) \
    CALL(unsigned long, create_continuation, \
         (unsigned int nr, const char *format, unsigned long op, void *arg), \
         (nr, format, op, arg)) \
    CALL(void *, xzalloc_bytes, (size_t size), (size)) \
    CALL(void, xfree, (void *p), (p)) \
    CALL(long, p2m_set_mem_access, \
         (struct domain *d, gfn_t gfn, uint32_t nr, uint32_t start, \
          uint32_t mask, xenmem_access_t access, unsigned int view), \
         (d, gfn, nr, start, mask, access, view)) \
    CALL(long, p2m_set_mem_access_multi, \
         (struct domain *d, XEN_GUEST_HANDLE(const_uint64) pfn_list, \
          XEN_GUEST_HANDLE(const_uint8) access_list, uint32_t nr, \
          uint32_t start, uint32_t mask, unsigned int view), \
         (d, pfn_list, access_list, nr, start, mask, view)) \
    CALL(int, p2m_get_mem_access, \
         (struct domain *d, gfn_t gfn, xenmem_access_t *access, \
          unsigned int view), (d, gfn, access, view)) \
    CALL(int, p2m_views_set_use, (struct domain *d, bool uses), (d, uses)) \
    CALL(int, p2m_view_create, \
         (struct domain *d, xenmem_access_t access, uint16_t *view), \
         (d, access, view)) \
    CALL(int, p2m_view_destroy, (struct domain *d, uint16_t view), (d, view)) \
    CALL(int, p2m_view_switch_domain, (struct domain *d, uint16_t view), \
         (d, view)) \
    CALL(int, p2m_view_switch_vcpu, (struct vcpu *v, uint16_t view), \
         (v, view)) \
    CALL(int, p2m_view_set_visible, \
         (struct domain *d, uint16_t view, bool visible), (d, view, visible)) \
    CALL(int, p2m_view_change_gfn, \
         (struct domain *d, uint16_t view, gfn_t old, gfn_t new), \
         (d, view, old, new))

#define DECLARE(type, name, parameters, names) type name parameters;
CALLS(DECLARE)

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
