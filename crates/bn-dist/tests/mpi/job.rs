//! A job of `mpirun` whose ranks are this program.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

/// The environment variables that tell a rank what to do.
pub(crate) const CASE: &str = "BN_TEST_MPI_CASE";
pub(crate) const FOLDER: &str = "BN_TEST_MPI_FOLDER";

/// What begins a line with a result.
pub(crate) const RESULT: &str = "RESULT ";

/// Longer than any job takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Job<'a> {
    ranks: usize,
    case: String,
    folder: PathBuf,
    hosts: Option<&'a TwoHosts>,
}

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) is_success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// What the ranks have written, in any order.
    pub(crate) fn results(&self) -> Vec<&str> {
        let lines = self.stdout.split(RESULT).skip(1);
        lines
            .filter_map(|line| line.split_whitespace().next())
            .collect()
    }
}

impl<'a> Job<'a> {
    pub(crate) fn new(ranks: usize, case: &str) -> Self {
        Self {
            ranks,
            case: case.to_owned(),
            folder: env::temp_dir(),
            hosts: None,
        }
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        self
    }

    pub(crate) fn on(mut self, hosts: &'a TwoHosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    pub(crate) fn run(self) -> Output {
        self.start().wait()
    }

    pub(crate) fn start(self) -> Running {
        let mut command = match self.hosts {
            Some(hosts) => hosts.mpirun(),
            None => Command::new("mpirun"),
        };
        // There may be fewer processors than ranks. (MPICH knows no other option of these than the first.)
        command.args([
            "-n",
            &self.ranks.to_string(),
            "--oversubscribe",
            "--bind-to",
            "none",
        ]);
        for variable in [CASE, FOLDER, "RAYON_NUM_THREADS"] {
            command.args(["-x", variable]);
        }
        let mut child = command
            .arg(env::current_exe().unwrap())
            .args([
                "workers::worker",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CASE, &self.case)
            .env(FOLDER, &self.folder)
            .env("RAYON_NUM_THREADS", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            // Containers often forbid one process to read another's memory.
            .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mpirun is installed");
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Running {
            child,
            output: [reader(stdout), reader(stderr)],
            folder: self.folder,
        }
    }
}

fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

pub(crate) struct Running {
    child: Child,
    output: [JoinHandle<String>; 2],
    folder: PathBuf,
}

impl Running {
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// `kill -9` of the process of a rank.
    pub(crate) fn kill_rank(&self, rank: usize) {
        let pid = fs::read_to_string(self.folder.join(format!("pid-{rank}"))).unwrap();
        let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success());
    }

    pub(crate) fn wait(mut self) -> Output {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > LIMIT {
                self.child.kill().unwrap();
                break self.child.wait().unwrap();
            }
            sleep(Duration::from_millis(5));
        };
        let [stdout, stderr] = self.output.map(|output| output.join().unwrap());
        Output {
            is_success: status.success(),
            stdout,
            stderr,
        }
    }
}

/// Two network namespaces with a cable between them. For Open MPI they are two hosts.
pub(crate) struct TwoHosts {
    names: [String; 2],
    agent: tempfile::TempDir,
}

/// Runs a command on a "host": in its namespace, and with its name.
const AGENT: &str = "#!/bin/sh
case $1 in
10.77.0.1) host=HOST0 ;;
*) host=HOST1 ;;
esac
shift
exec ip netns exec $host unshare --uts sh -c \"hostname $host; $*\"
";

impl TwoHosts {
    /// `None` where there is no right to make them.
    pub(crate) fn new() -> Option<Self> {
        let id = std::process::id();
        let agent = tempfile::tempdir().unwrap();
        let names = [format!("bn-{id}-0"), format!("bn-{id}-1")];
        let hosts = Self { names, agent };
        for name in &hosts.names {
            if !ip(&["netns", "add", name]) {
                return None;
            }
        }
        let [a, b] = &hosts.names;
        let cable = [
            "link", "add", "cable", "netns", a, "type", "veth", "peer", "name", "cable", "netns", b,
        ];
        assert!(ip(&cable), "a cable");
        for (name, address) in hosts.names.iter().zip(["10.77.0.1/24", "10.77.0.2/24"]) {
            assert!(ip(&["-n", name, "addr", "add", address, "dev", "cable"]));
            assert!(ip(&["-n", name, "link", "set", "cable", "up"]));
            assert!(ip(&["-n", name, "link", "set", "lo", "up"]));
        }
        let script = AGENT.replace("HOST0", a).replace("HOST1", b);
        fs::write(hosts.agent(), script).unwrap();
        let made = Command::new("chmod").arg("+x").arg(hosts.agent()).status();
        assert!(made.unwrap().success());
        Some(hosts)
    }

    fn agent(&self) -> PathBuf {
        self.agent.path().join("agent")
    }

    /// `mpirun` on the first of them, with a rank on each.
    fn mpirun(&self) -> Command {
        let mut command = Command::new("ip");
        let network = "10.77.0.0/24";
        command
            .args([
                "netns",
                "exec",
                &self.names[0],
                "mpirun",
                "--host",
                "10.77.0.1:1,10.77.0.2:1",
            ])
            .args(["--mca", "plm_rsh_agent"])
            .arg(self.agent())
            .args([
                "--mca",
                "plm_rsh_no_tree_spawn",
                "1",
                "--mca",
                "btl",
                "self,tcp",
            ])
            .args([
                "--mca",
                "btl_tcp_if_include",
                network,
                "--mca",
                "oob_tcp_if_include",
                network,
            ]);
        command
    }

    pub(crate) fn cut(&self) {
        assert!(ip(&["-n", &self.names[0], "link", "set", "cable", "down"]));
    }

    pub(crate) fn mend(&self) {
        assert!(ip(&["-n", &self.names[0], "link", "set", "cable", "up"]));
    }
}

impl Drop for TwoHosts {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&["netns", "del", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    let status = Command::new("ip")
        .args(arguments)
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
