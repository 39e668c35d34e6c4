/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rows do; rows.c includes it for each side, so that a loop calls its
 * side's functions directly. SIDE is the number, CALL(f) the side's f, and
 * BODY(row) the name of the loop. `n` is the number of operations.
 */

/* Adds what was returned; `is_good` if it is what it should be. */
#define ANSWER(value, is_good) do {                                           \
    hash = hash * 31 + (value);                                               \
    good += !!(is_good);                                                      \
} while ( 0 )

#define ROW(name, which) \
static void BODY(name)(unsigned int thread, unsigned long n,                  \
                       struct native_answer *answer)                          \
{                                                                             \
    struct domain *d = native_domains[SIDE][which];                           \
    const unsigned long ram = native_ram(SIDE, which);                        \
    unsigned long i, hash = 0, good = 0, seed = 88172645463325252UL + thread; \
    p2m_type_t t;

#define END                                                                   \
    (void)d; (void)ram; (void)seed; (void)t; (void)i;                         \
    answer->hash = hash;                                                      \
    answer->good = good;                                                      \
}

ROW(look_up_in_order, NATIVE_PAGES)
    for ( i = 0; i < n; i++ )
    {
        unsigned long gfn = i % NATIVE_RAM;
        unsigned long mfn = mfn_x(CALL(p2m_lookup)(d, _gfn(gfn), &t)) - ram;

        ANSWER(mfn + t, mfn == (gfn ^ 1) && t == p2m_ram_rw);
    }
END

ROW(look_up, NATIVE_PAGES)
    for ( i = 0; i < n; i++ )
    {
        unsigned long gfn = next(&seed);
        unsigned long mfn = mfn_x(CALL(p2m_lookup)(d, _gfn(gfn), &t)) - ram;

        ANSWER(mfn + t, mfn == (gfn ^ 1) && t == p2m_ram_rw);
    }
END

ROW(look_up_blocks, NATIVE_BLOCKS)
    for ( i = 0; i < n; i++ )
    {
        unsigned long gfn = next(&seed);
        unsigned long mfn = mfn_x(CALL(p2m_lookup)(d, _gfn(gfn), &t)) - ram;

        ANSWER(mfn + t, mfn == gfn && t == p2m_ram_rw);
    }
END

/* Of any page of its RAM, and of one of a few, which stay in the cache. */
#define PAGE_AND_REFERENCE(name, frame)                                       \
ROW(name, NATIVE_PAGES)                                                       \
    for ( i = 0; i < n; i++ )                                                 \
    {                                                                         \
        unsigned long gfn = frame;                                            \
        struct page_info *pg = CALL(p2m_get_page_from_gfn)(d, _gfn(gfn), &t); \
        unsigned long mfn = pg ? mfn_x(page_to_mfn(pg)) - ram : ~0UL;         \
                                                                              \
        if ( pg )                                                             \
            put_page(pg);                                                     \
        ANSWER(mfn + t, mfn == (gfn ^ 1) && t == p2m_ram_rw);                 \
    }                                                                         \
END
PAGE_AND_REFERENCE(page_and_reference, next(&seed))
PAGE_AND_REFERENCE(page_and_reference_near, next(&seed) % NEAR)
#undef PAGE_AND_REFERENCE

#define BUFFER(name, page)                                                    \
ROW(name, NATIVE_PAGES)                                                       \
    for ( i = 0; i < n; i++ )                                                 \
    {                                                                         \
        unsigned long gfn = page;                                             \
        vaddr_t va = (gfn << PAGE_SHIFT) + 24;                                \
        struct page_info *pg = CALL(get_page_from_gva)(current, va, GV2M_READ); \
        unsigned long mfn = pg ? mfn_x(page_to_mfn(pg)) - ram : ~0UL;         \
                                                                              \
        if ( pg )                                                             \
            put_page(pg);                                                     \
        ANSWER(mfn, mfn == (gfn ^ 1));                                        \
    }                                                                         \
END
BUFFER(buffer, next(&seed))
BUFFER(buffer_near, next(&seed) % NEAR)
#undef BUFFER

ROW(fault_on_valid, NATIVE_PAGES)
    for ( i = 0; i < n; i++ )
    {
        bool resolved = CALL(p2m_resolve_translation_fault)(d, _gfn(next(&seed)));

        ANSWER(resolved, resolved);
    }
END

/* Each thread has 1 GiB of addresses of its own. */
ROW(map, NATIVE_EMPTY)
    for ( i = 0; i < n; i++ )
    {
        gfn_t gfn = _gfn(thread * NATIVE_RAM + i);
        int rc = CALL(guest_physmap_add_entry)(d, gfn, _mfn(ram + (i ^ 1)), 0,
                                               p2m_ram_rw);

        ANSWER(rc, !rc);
    }
END

ROW(unmap, NATIVE_EMPTY)
    for ( i = 0; i < n; i++ )
    {
        gfn_t gfn = _gfn(thread * NATIVE_RAM + i);
        int rc = CALL(guest_physmap_remove_page)(d, gfn, _mfn(ram + (i ^ 1)), 0);

        ANSWER(rc, !rc);
    }
END

ROW(map_and_unmap, NATIVE_EMPTY)
    struct native_answer second;

    BODY(map)(thread, n / 2, answer);
    BODY(unmap)(thread, n / 2, &second);
    hash = answer->hash * 31 + second.hash;
    good = answer->good + second.good;
END

/* One frame on, so that no block fits: all in one call. */
ROW(map_in_one_call, NATIVE_EMPTY)
    int rc = CALL(map_regions_p2mt)(d, _gfn(0), n, _mfn(ram + 1), p2m_mmio_direct_c);

    ANSWER(rc, !rc);
    good *= n;
END

ROW(unmap_in_one_call, NATIVE_EMPTY)
    int rc = CALL(unmap_regions_p2mt)(d, _gfn(0), n, _mfn(ram + 1));

    ANSWER(rc, !rc);
    good *= n;
END

/* All restricted in one call, and all lifted in another. */
ROW(access_in_one_call, NATIVE_ACCESS)
    long rc = CALL(p2m_set_mem_access)(d, _gfn(0), n / 2, 0, ~0U, XENMEM_access_rx, 0);

    ANSWER(rc, !rc);
    rc = CALL(p2m_set_mem_access)(d, _gfn(0), n / 2, 0, ~0U, XENMEM_access_rwx, 0);
    ANSWER(rc, !rc);
    good *= n / 2;
END

/* One page restricted, and lifted. */
ROW(access_of_a_page, NATIVE_ACCESS)
    for ( i = 0; i < n / 2; i++ )
    {
        gfn_t gfn = _gfn(next(&seed));
        long rc = CALL(p2m_set_mem_access)(d, gfn, 1, 0, ~0U, XENMEM_access_rx, 0);

        ANSWER(rc, !rc);
        rc = CALL(p2m_set_mem_access)(d, gfn, 1, 0, ~0U, XENMEM_access_rwx, 0);
        ANSWER(rc, !rc);
    }
END

ROW(get_access, NATIVE_ACCESS)
    for ( i = 0; i < n; i++ )
    {
        unsigned long gfn = next(&seed);
        xenmem_access_t access = XENMEM_access_n;
        int rc = CALL(p2m_get_mem_access)(d, _gfn(gfn), &access, 0);

        ANSWER(access, !rc && access == XENMEM_access_rx);
    }
END

#undef ANSWER
#undef ROW
#undef END
