//! Parse, do, map the result to an exit code.

fn main() -> std::process::ExitCode {
    keyproof::cli::main().into()
}
