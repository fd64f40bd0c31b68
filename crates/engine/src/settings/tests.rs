use super::*;

fn refused(key: &str, value: &str) -> SqlError {
    Settings::new().set(key, value).expect_err("refused")
}

#[test]
fn defaults_fit_their_own_kind() {
    // Two depend on the machine.
    let of_machine = ["execution.shards", "state.memory-budget"];
    for spec in SETTINGS.iter().filter(|s| !of_machine.contains(&s.name)) {
        assert_eq!(checked(spec, spec.name, spec.default).expect(spec.name), spec.default);
    }
}

#[test]
fn names_are_sorted_and_unique() {
    let names: Vec<_> = SETTINGS.iter().map(|s| s.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len());
}

#[test]
fn aliases_set_the_same_value() {
    let mut settings = Settings::new();
    assert_eq!(settings.shards(), None);
    settings.set("parallelism.default", "3").expect("known");
    assert_eq!(settings.shards(), Some(3));
    settings.set("execution.shards", "4").expect("known");
    assert_eq!(settings.changed().collect::<Vec<_>>(), [("execution.shards", "4")]);
    settings.reset("parallelism.default").expect("known");
    assert_eq!(settings, Settings::new());
}

#[test]
fn an_unknown_name_names_the_nearest() {
    let error = refused("execution.epoch-intervall", "1 s");
    assert_eq!(error.sqlstate, SqlError::INVALID_PARAMETER);
    assert_eq!(error.message, "unknown setting 'execution.epoch-intervall'");
    assert_eq!(error.hint.as_deref(), Some("did you mean 'execution.epoch-interval'? SET; lists all settings"));
    assert_eq!(refused("x", "1").hint.as_deref(), Some("SET; lists all settings"));
}

#[test]
fn values_are_checked() {
    for (key, value, hint) in [
        ("execution.shards", "0", "give a whole number from 1 to 1024"),
        ("execution.shards", "two", "give a whole number from 1 to 1024"),
        ("execution.epoch-interval", "soon", "give a duration like '100 ms' or '1 s'"),
        ("execution.epoch-interval", "0 s", "give a duration above 0, like '100 ms'"),
        ("execution.emit", "never", "give 'on-close' or 'on-update' or 'final'"),
        ("table.local-time-zone", "Mars/Olympus", "give a zone like 'UTC', 'Europe/Berlin' or '+02:00'"),
        ("table.exec.mini-batch.enabled", "yes", "give 'true' or 'false'"),
        ("state.memory-budget", "1 MiB", "give at least '16 MiB'"),
        ("state.memory-budget", "much", "give a number of bytes like '512 MiB' or '4 GiB'"),
        ("state.backend", "forst", "give 'auto' or 'memory' or 'rocksdb'"),
        ("sql.dialect", "oracle", "give 'flink' or 'postgres'"),
    ] {
        let error = refused(key, value);
        assert_eq!(error.message, format!("setting '{key}' cannot be '{value}'"));
        assert_eq!(error.hint.as_deref(), Some(hint), "{key}");
    }
    let error = refused("execution.checkpointing.mode", "at_least_once");
    assert_eq!((error.sqlstate, error.hint.is_some()), (SqlError::UNSUPPORTED, true));
}

#[test]
fn words_are_read_in_any_case_and_by_flinks_names() {
    let mut settings = Settings::new();
    settings.set("execution.runtime-mode", "BATCH").expect("fits");
    settings.set("state.backend.type", "hashmap").expect("fits");
    settings.set("execution.emit", "on-update").expect("fits");
    assert!(settings.is_batch() && settings.emit() == Emit::OnUpdate);
    assert_eq!(settings.of("state.backend"), "memory");
}

#[test]
fn toml_tables_stand_for_dotted_names() {
    let mut settings = Settings::new();
    let text = "[execution]\nshards = 2\nepoch-interval = '5 ms'\n[table]\n'local-time-zone' = 'Europe/Berlin'\n";
    settings.set_toml(text).expect("fits");
    assert_eq!(settings.shards(), Some(2));
    assert_eq!(settings.epoch_interval(), Duration::from_millis(5));
    assert_eq!(settings.time_zone(), "Europe/Berlin");
    let error = settings.set_toml("[execution]\nshards = [1]").expect_err("no list");
    assert_eq!(error.message, "configuration: 'execution.shards' is neither text, number nor true/false");
    assert!(settings.set_toml("execution = = 1").expect_err("no TOML").message.starts_with("configuration: "));
}

#[test]
fn the_documentation_lists_every_setting() {
    let page = include_str!("../../../../docs/settings.md");
    for spec in SETTINGS {
        for name in std::iter::once(spec.name).chain(spec.alias) {
            assert!(page.contains(&format!("`{name}`")), "docs/settings.md does not list {name}");
        }
        assert!(
            page.contains(&format!("| {} |", spec.description)),
            "docs/settings.md describes {} otherwise",
            spec.name
        );
    }
}

#[test]
fn sizes_have_units() {
    let mut settings = Settings::new();
    assert_eq!(settings.memory_budget(), None);
    for (text, bytes) in [("16777216", 16 << 20), ("64 mb", 64 << 20), ("512 MiB", 512 << 20), ("2g", 2 << 30)] {
        settings.set("state.memory-budget", text).expect("a size");
        assert_eq!(settings.memory_budget(), Some(bytes), "{text}");
    }
}
