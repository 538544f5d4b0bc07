//! The process that has started this rank: `mpirun`, or its daemon on another host.

use std::{
    fs,
    os::unix::process::{CommandExt, parent_id},
    process::{Command, Stdio},
};

/// The names of launchers and their daemons, of Open MPI and MPICH.
const LAUNCHERS: [&str; 8] = [
    "mpirun",
    "mpiexec",
    "orterun",
    "orted",
    "prterun",
    "prted",
    "mpiexec.hydra",
    "hydra_pmi_proxy",
];

/// A launcher that cannot reach another host, or a rank that is ending, waits for it for minutes, although the job is
/// over. Gives it five seconds to end.
pub(super) fn end_soon() {
    let id = parent_id().to_string();
    let Ok(name) = fs::read_to_string(format!("/proc/{id}/comm")) else {
        return; // on other systems than Linux
    };
    if LAUNCHERS.contains(&name.trim()) {
        let end = "sleep 5; [ \"$(cat /proc/$0/comm)\" = \"$1\" ] && kill -9 $0";
        let mut later = Command::new("sh");
        // In a group of its own, because the launcher ends that of this rank.
        later.process_group(0).args(["-c", end, &id, name.trim()]);
        later.stdin(Stdio::null());
        let _ = later.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
}
