//! Takes away from this process everything that decoding does not need.
//!
//! After [`confine`] it can read and write what is open, get memory up to a limit, and start threads; it can't open
//! files or sockets, start programs, or look at other processes. A call outside the list fails with `EPERM`, so
//! that a library's harmless question costs nothing.

use std::collections::BTreeMap;

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Address space: two decoders of the largest pictures, with room.
const MEMORY_BYTES_MAX: u64 = 3 << 30;

/// Why the process could not be confined; it must not serve then.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    #[error("can't limit {0}: {1}")]
    Limit(&'static str, #[source] rustix::io::Errno),
    #[error("can't filter system calls: {0}")]
    Filter(String),
}

/// Confines this process for good. Call it before the first byte is read, while there is one thread.
pub fn confine() -> Result<(), ConfineError> {
    let limit = |what, resource, most| {
        let limits = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limits).map_err(|error| ConfineError::Limit(what, error))
    };
    limit("core dumps", Resource::Core, 0)?;
    limit("file sizes", Resource::Fsize, 0)?;
    limit("memory", Resource::As, MEMORY_BYTES_MAX)?;
    // Descriptors 0 to 2 are open; no other can be made.
    limit("descriptors", Resource::Nofile, 3)?;
    filter().map_err(|error| ConfineError::Filter(error.to_string()))
}

fn filter() -> Result<(), Box<dyn std::error::Error>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        allowed_calls().into_iter().map(|call| (call, Vec::new())).collect();
    // A thread of this process, never a process of its own.
    let thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64),
        libc::CLONE_THREAD as u64,
    )?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]);
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let main: BpfProgram = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()?;

    // clone3 keeps its flags behind a pointer, where no filter sees them. "No such call" makes libc use clone.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let absent = SeccompAction::Errno(libc::ENOSYS as u32);
    let clone3: BpfProgram = SeccompFilter::new(clone3, SeccompAction::Allow, absent, arch)?.try_into()?;

    // The kernel asks both and takes the stricter answer. The second call needs seccomp itself, so the main
    // filter, which takes that away, comes last.
    seccompiler::apply_filter(&clone3)?;
    seccompiler::apply_filter(&main)?;
    Ok(())
}

fn allowed_calls() -> Vec<i64> {
    let mut calls = vec![
        libc::SYS_brk,
        libc::SYS_clock_getres,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_close,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getcpu,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_ppoll,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_sigaltstack,
        libc::SYS_tgkill,
        libc::SYS_write,
        libc::SYS_writev,
    ];
    // The other filter answers for it.
    calls.push(libc::SYS_clone3);
    #[cfg(target_arch = "x86_64")]
    calls.push(libc::SYS_poll);
    calls
}
