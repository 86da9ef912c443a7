//! How the C library hands out memory.

/// Makes all threads take memory from one arena. To be called before there is a second thread.
///
/// By itself glibc gives each of them an arena of its own, and what was freed in one is of no use to the others: a first load
/// of three million rows took 38 MB more, at the same speed. Small blocks come from a cache of each thread.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate offers this setting")]
pub(crate) fn share_one_arena() {
    // SAFETY: it takes two numbers, and changes the allocator's settings while no other thread allocates.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Other C libraries have no arenas.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_one_arena() {}
