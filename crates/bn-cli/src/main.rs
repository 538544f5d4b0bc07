//! The command `bn`.

fn main() -> std::process::ExitCode {
    bn_cli::run(std::env::args_os())
}
