//! The features of model checking as cfgs. As flags of the compiler they would reach every dependency, and each of these would
//! be built again for each of them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for feature in ["loom", "shuttle", "planted"] {
        if std::env::var_os(format!("CARGO_FEATURE_{}", feature.to_uppercase())).is_some() {
            println!("cargo::rustc-cfg=sluice_{feature}");
        }
    }
}
