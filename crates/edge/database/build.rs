//! Migrations are compiled in: a changed one means building anew.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
