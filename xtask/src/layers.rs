//! Compares `crates/layers.toml` with what cargo reports: arrows point downward only, and each heavy outside
//! crate has one door.

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

pub(crate) fn check() -> Result<(), String> {
    let rules = std::fs::read_to_string("crates/layers.toml").map_err(|e| format!("crates/layers.toml: {e}"))?;
    let rules: toml::Table = rules.parse().map_err(|e| format!("crates/layers.toml: {e}"))?;
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let faults = faults(&rules, &metadata);
    if faults.is_empty() { Ok(()) } else { Err(format!("layers:\n  {}", faults.join("\n  "))) }
}

fn faults(rules: &toml::Table, metadata: &Value) -> Vec<String> {
    let levels: BTreeMap<&str, i64> = table(rules, "levels").filter_map(|(n, v)| Some((n, v.as_integer()?))).collect();
    let tops: Vec<&str> = table(rules, "tops").flat_map(|(_, v)| strings(v)).collect();
    let doors: BTreeMap<&str, Vec<&str>> = table(rules, "doors").map(|(n, v)| (n, strings(v))).collect();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let level = levels.get(name);
        if level.is_none() && !tops.contains(&name) {
            faults.push(format!("{name} is not listed in crates/layers.toml"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            if tops.contains(&on) {
                faults.push(format!("{name} depends on {on}, on which nobody may depend"));
            }
            let is_dev = dependency["kind"].as_str() == Some("dev");
            if let (Some(level), Some(below)) = (level, levels.get(on))
                && below >= level
                && name != on
            {
                faults.push(format!("{name} (level {level}) depends on {on} (level {below})"));
            }
            if let Some(allowed) = doors.get(on)
                && !is_dev
                && !allowed.contains(&name)
            {
                faults.push(format!("{name} depends on {on}, whose door is {}", allowed.join(", ")));
            }
        }
    }
    faults
}

fn table<'a>(rules: &'a toml::Table, name: &str) -> impl Iterator<Item = (&'a str, &'a toml::Value)> {
    rules.get(name).and_then(toml::Value::as_table).into_iter().flatten().map(|(n, v)| (n.as_str(), v))
}

fn strings(value: &toml::Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(toml::Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upward_arrow_an_unlisted_crate_and_a_second_door_are_faults() {
        let rules: toml::Table =
            "[levels]\na = 0\nb = 1\n[tops]\nnames = [\"t\"]\n[doors]\nheavy = [\"b\"]".parse().expect("toml");
        let package = |name: &str, on: &[&str]| {
            let dependencies: Vec<Value> = on.iter().map(|d| serde_json::json!({ "name": d, "kind": null })).collect();
            serde_json::json!({ "name": name, "dependencies": dependencies })
        };
        let metadata = |packages: Vec<Value>| serde_json::json!({ "packages": packages });
        assert!(faults(&rules, &metadata(vec![package("a", &[]), package("b", &["a", "heavy"])])).is_empty());
        assert_eq!(faults(&rules, &metadata(vec![package("a", &["b"])])).len(), 1);
        assert_eq!(faults(&rules, &metadata(vec![package("x", &[])])).len(), 1);
        assert_eq!(faults(&rules, &metadata(vec![package("a", &["heavy"])])).len(), 1);
        assert_eq!(faults(&rules, &metadata(vec![package("b", &["t"])])).len(), 1);
    }
}
