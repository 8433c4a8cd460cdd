//! The features of model checking as cfgs. As flags of the compiler they would reach every dependency, and each of these would
//! be built again for each of them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_set = |feature: &str| std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    assert!(
        !(is_set("LOOM") && is_set("SHUTTLE")),
        "the features loom and shuttle exclude each other, so --all-features builds nothing"
    );
    for feature in ["loom", "shuttle", "planted"] {
        if is_set(&feature.to_uppercase()) {
            println!("cargo::rustc-cfg=sluice_{feature}");
        }
    }
}
