//! Parse, do, map the result to an exit code.

// A third of judging was the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    keyproof::cli::main().into()
}
