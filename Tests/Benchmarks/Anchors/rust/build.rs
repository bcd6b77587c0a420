//! Says whether the compiler has `std::sync::OnceLock` (1.70); Debian 12's is older.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc --version");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let minor = text.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap_or(0);
    if minor >= 80 {
        println!("cargo:rustc-check-cfg=cfg(has_once_lock)");
    }
    if minor >= 70 {
        println!("cargo:rustc-cfg=has_once_lock");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
