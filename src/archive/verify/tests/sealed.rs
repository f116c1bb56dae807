//! Levels 1 to 3, by both verifiers.

use super::*;

#[tokio::test]
async fn a_whole_archive_passes_both() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    let (classes, said) = disk.both(&sample).await;
    assert_eq!(classes, [""; 0]);
    assert!(
        said.contains("VERIFIED levels 1 to 3: 5 entries, head 6"),
        "{said}"
    );
    let report = verify(&disk.store, &sample.options())
        .await
        .expect("listed");
    assert_eq!((report.runs.len(), report.rollups.len()), (3, 1));
    assert_eq!(report.head().map(|e| e.seq), Some(6));
    assert_eq!(report.runs[0].files.len(), 5);
    let notices: Vec<String> = report.notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices.len(), 3, "{notices:#?}");
    assert!(said.matches("\nnote ").count() + usize::from(said.starts_with("note ")) >= 3);
}

#[tokio::test]
async fn without_a_pin_it_is_only_self_consistent() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    let (code, said) = disk.script(&[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(sample.pin.as_str()), "{said}");
    let (code, _) = disk.script(&["--self-consistent-only".to_owned()]);
    assert_eq!(code, Some(0));
    let report = verify(&disk.store, &VerifyOptions::default())
        .await
        .expect("listed");
    assert_eq!((report.trust, report.passed()), (Trust::Unpinned, true));
}

#[tokio::test]
async fn the_key_can_be_given_instead_of_a_pin() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    let ours = disk.dir.path().join("ours.pem");
    let other = disk.dir.path().join("other.pem");
    let other_key = TestSigner::generate().public_key().clone();
    std::fs::write(&ours, sample.signer.public_key().to_pem()).expect("write");
    std::fs::write(&other, other_key.to_pem()).expect("write");
    let check = async |key: &PublicKey| {
        let options = VerifyOptions {
            key: Some(key.clone()),
            ..VerifyOptions::default()
        };
        verify(&disk.store, &options).await.expect("listed")
    };
    let script = |path: &PathBuf| disk.script(&["--key".to_owned(), path.display().to_string()]);
    assert!(check(sample.signer.public_key()).await.passed());
    assert_eq!(script(&ours).0, Some(0));
    let report = check(&other_key).await;
    assert_eq!(report.failures[0].class(), "wrong_key");
    assert_eq!(report.levels[0].outcome, LevelOutcome::NotCheckable);
    let (code, said) = script(&other);
    assert_eq!(code, Some(5));
    assert!(said.contains("FAIL wrong_key"), "{said}");
}

#[tokio::test]
async fn no_flipped_bit_of_a_sealed_file_survives() {
    let sample = sample().await;
    let names = sample.sealed_names();
    assert_eq!(names.len(), sample.objects.len() - 7, "{names:#?}");
    for name in names {
        let bytes = &sample.objects[&name];
        // 64 bytes of each file, each with another of its bits; the encodings' own tests try all.
        for byte in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
            let mut objects = sample.objects.clone();
            objects.insert(name.clone(), flip(bytes, byte * 8 + byte % 8));
            let classes = sample.classes(objects).await;
            assert!(!classes.is_empty(), "{name}, byte {byte}");
        }
    }
}

#[tokio::test]
async fn the_script_sees_every_flipped_bit_too() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    for (at, name) in sample.sealed_names().iter().enumerate() {
        let bytes = &sample.objects[name];
        let bits = bytes.len() * 8;
        // The ends, and two in between that differ from file to file.
        let between = (1..3).map(|part| bits * part / 3 + at * 7 % (bits / 3));
        for bit in [0, bits - 1].into_iter().chain(between) {
            disk.write(name, &flip(bytes, bit));
            let (classes, _) = disk.both(&sample).await;
            assert!(!classes.is_empty(), "{name}, bit {bit}");
        }
        disk.write(name, bytes);
    }
}

#[tokio::test]
async fn what_is_not_sealed_may_change() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    let sealed = sample.sealed_names();
    for (name, bytes) in &sample.objects {
        if sealed.contains(name) {
            continue;
        }
        disk.write(name, &flip(bytes, 9));
        let (classes, said) = disk.both(&sample).await;
        assert_eq!(classes, [""; 0], "{name}\n{said}");
        disk.write(name, bytes);
    }
}

#[tokio::test]
async fn removals_are_named() {
    let sample = sample().await;
    for name in sample.sealed_names() {
        let class = match name.as_str() {
            "chain/0000000001.dsse.json" => "empty_archive",
            LAST => "removed_tail",
            chain if chain.starts_with("chain/") => "gap",
            _ => "missing_file",
        };
        damaged(&sample, class, |objects| {
            objects.remove(&name);
        })
        .await;
    }
    damaged(&sample, "gap", |objects| {
        objects.remove(INTRUDER);
    })
    .await;
    damaged(&sample, "empty_archive", Objects::clear).await;
}

#[tokio::test]
async fn additions_are_named() {
    let sample = sample().await;
    for name in [
        "README.md",
        "chain/readme",
        "chain/9999999999.dsse.json",
        "starts/1.json",
        "keys/0000000000000000000000000000000000000000000000000000000000000000.pem",
        // No run of this id ever began.
        "evidence/account/v1/dt=2026-11-24/20261124T020000Z-0000abcd.s00-9c1f.parquet",
        "manifest/v1/dt=2026-11-24/20261124T020000Z-0000abcd.json",
        "rollup/compliant_share/v1/quarter=2026Q4/20261124T020000Z-0000abcd.parquet",
        // A run that is sealed.
        "evidence/account/v1/dt=2026-11-24/20261124T020000Z-00000001.s00-beef.parquet",
        "runs/dt=2026-11-24/20261124T020000Z-00000001/scope.json",
        "manifest/v1/dt=2026-11-25/20261124T020000Z-00000001.json",
        "evidence/account/v2/dt=2026-11-24/20261124T020000Z-00000001.s00-beef.txt",
    ] {
        damaged(&sample, "unexpected_object", |objects| {
            objects.insert(name.to_owned(), b"x".to_vec());
        })
        .await;
    }
}

#[tokio::test]
async fn orphans_are_files_of_their_own_run() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("entry 2");
    let mut chain = archive.chain().await.expect("chain");
    let begun = archive.begin(&mut chain, None).await.expect("begin");
    let (mut manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    let own = [
        "evidence/account/v1/dt=2026-11-25/20261125T020000Z-00000002.s01-beef.parquet",
        "evidence/finding/v12/dt=2026-11-25/20261125T020000Z-00000002.s100-0.parquet",
        "runs/dt=2026-11-25/20261125T020000Z-00000002/scope.json",
        "runs/dt=2026-11-25/20261125T020000Z-00000002/shard-01.json",
    ];
    let others = [
        // Of another sealed run, of no run, of another date, of a kind that no process leaves.
        "evidence/finding/v1/dt=2026-11-24/20261124T020000Z-00000001.s00-beef.parquet",
        "evidence/finding/v1/dt=2026-11-24/20261124T020000Z-0000abcd.s00-beef.parquet",
        "evidence/finding/v1/dt=2026-11-24/20261125T020000Z-00000002.s00-beef.parquet",
        "runs/dt=2026-11-24/20261124T020000Z-00000001/scope.json",
        "manifest/v1/dt=2026-11-24/20261125T020000Z-00000002.json",
        "rollup/compliant_share/v1/quarter=2026Q4/20261125T020000Z-00000002.parquet",
        "chain/readme",
        "starts/1.json",
        "README.md",
        // No name that the program gives.
        "evidence/account/v01/dt=2026-11-25/20261125T020000Z-00000002.s01-beef.parquet",
        "evidence/account/v1/dt=2026-11-25/20261125T020000Z-00000002.s001-beef.parquet",
        "evidence/account/v1/dt=2026-11-25/20261125T020000Z-00000002.s01-BEEF.parquet",
        "runs/dt=2026-11-25/20261125T020000Z-00000002/shard-1.json",
    ];
    manifest.orphans = own.into_iter().chain(others).map(str::to_owned).collect();
    manifest.orphans.sort();
    let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
    sealed.await.expect("entry 3");
    let mut sample = Sample {
        objects: memory.objects(),
        pin: chain.genesis_sha256().clone(),
        head: (
            3,
            archive.chain().await.expect("chain").head().sha256.clone(),
        ),
        signer: archive.signer.clone(),
    };
    for name in own {
        sample.objects.insert(name.to_owned(), b"x".to_vec());
    }
    let (classes, said) = OnDisk::new(&sample.objects).both(&sample).await;
    assert_eq!(classes, [""; 0], "{said}");
    for name in others {
        damaged(&sample, "unexpected_object", |objects| {
            objects.insert(name.to_owned(), b"x".to_vec());
        })
        .await;
    }
}

#[tokio::test]
async fn changes_of_content_are_named() {
    let sample = sample().await;
    let evidence: Vec<&String> = sample
        .objects
        .keys()
        .filter(|n| n.starts_with("evidence/") && n.contains("-00000001."))
        .collect();
    let (one, other) = (evidence[0].as_str(), evidence[1].as_str());
    damaged(&sample, "digest_mismatch", |objects| {
        let (a, b) = (objects[one].clone(), objects[other].clone());
        objects.insert(one.to_owned(), b);
        objects.insert(other.to_owned(), a);
    })
    .await;
    damaged(&sample, "truncated", |objects| {
        objects.get_mut(one).expect("file").pop();
    })
    .await;
    damaged(&sample, "truncated", |objects| {
        objects.insert(one.to_owned(), Vec::new());
    })
    .await;
    damaged(&sample, "digest_mismatch", |objects| {
        objects.get_mut(one).expect("file").push(b'\n');
    })
    .await;
    let pem = layout::key(&sample.signer.public_key().keyid());
    for change in ["\n", "\r\n", "x"] {
        damaged(&sample, "pem_not_canonical", |objects| {
            objects.get_mut(&pem).expect("pem").extend(change.bytes());
        })
        .await;
    }
    damaged(&sample, "pem_not_canonical", |objects| {
        let other = TestSigner::generate().public_key().to_pem();
        objects.insert(pem.clone(), other.into_bytes());
    })
    .await;
}

#[tokio::test]
async fn other_encodings_of_an_entry_are_named() {
    let sample = sample().await;
    let text = String::from_utf8(sample.objects[LAST].clone()).expect("text");
    for changed in [
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!("{text}{text}"),
        text.replace("\",\"payloadType", "\", \"payloadType"),
        text.replace("{\"payload\":", "{\"payload\": "),
        text.replacen('e', "\\u0065", 1),
        String::new(),
    ] {
        assert_ne!(changed, text);
        damaged(&sample, "envelope_not_canonical", |objects| {
            objects.insert(LAST.to_owned(), changed.into_bytes());
        })
        .await;
    }
    damaged(&sample, "wrong_payload_type", |objects| {
        objects.insert(
            LAST.to_owned(),
            text.replace("vnd.in-toto", "vnd.other").into(),
        );
    })
    .await;
    damaged(&sample, "bad_signature", |objects| {
        let other = String::from_utf8(objects["chain/0000000005.dsse.json"].clone());
        let (_, sig) = text.split_once("\"signatures\"").expect("signatures");
        let other = other.expect("text");
        let (payload, _) = other.split_once("\"signatures\"").expect("signatures");
        objects.insert(
            LAST.to_owned(),
            format!("{payload}\"signatures\"{sig}").into(),
        );
    })
    .await;
}

/// An envelope names no algorithm: there is one, and what others make is no signature.
#[tokio::test]
async fn other_algorithms_are_named() {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };
    use base64::Engine as _;
    let sample = sample().await;
    let envelope = Envelope::parse(&sample.objects[LAST]).expect("envelope");
    let message = Envelope::to_sign(&envelope.payload);
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).expect("a key");
    let by_p384 = p384.sign(&SystemRandom::new(), &message).expect("signed");
    let ed25519 = Ed25519KeyPair::generate().expect("a key");
    for signature in [
        by_p384.as_ref().to_vec(),
        ed25519.sign(&message).as_ref().to_vec(),
        Sha256Hex::of(&message).as_str().as_bytes().to_vec(),
    ] {
        let forged = Envelope {
            signature,
            ..envelope.clone()
        };
        damaged(&sample, "bad_signature", |objects| {
            objects.insert(LAST.to_owned(), forged.to_bytes());
        })
        .await;
    }
    let der = p384.public_key().as_der().expect("DER");
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("text"))
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    damaged(&sample, "pem_not_canonical", |objects| {
        let name = layout::key(&sample.signer.public_key().keyid());
        objects.insert(name, pem.into_bytes());
    })
    .await;
}

#[tokio::test]
async fn entries_signed_for_something_else_are_named() {
    let sample = sample().await;
    let ours = &sample.signer;
    let put = |bytes: Vec<u8>| {
        move |objects: &mut Objects| {
            objects.insert(LAST.to_owned(), bytes);
        }
    };
    let other = TestSigner::generate();
    let bytes = resigned(&sample.objects, LAST, &other, |_| {}).await;
    damaged(&sample, "unknown_signer", put(bytes)).await;

    let replayed = sample.objects["chain/0000000004.dsse.json"].clone();
    damaged(&sample, "replayed_entry", put(replayed)).await;

    let bytes = resigned(&sample.objects, LAST, ours, |statement| {
        statement.archive_id = crate::seal::ArchiveId::from_random([8; 16]);
    })
    .await;
    damaged(&sample, "foreign_archive", put(bytes)).await;

    let bytes = resigned(&sample.objects, LAST, ours, |statement| {
        statement.previous_sha256 = Some(Sha256Hex::of(b"a fork"));
    })
    .await;
    damaged(&sample, "link_mismatch", put(bytes)).await;

    let bytes = resigned(&sample.objects, LAST, ours, |statement| {
        statement.burnt_slots = vec![5];
    })
    .await;
    damaged(&sample, "burnt_slot_wrong", put(bytes)).await;

    // The same run again, in the next slot, and a head that is not the one seen.
    let next = resigned(&sample.objects, LAST, ours, |statement| {
        statement.seq = 7;
        statement.previous_sha256 = Some(sample.head.1.clone());
    })
    .await;
    damaged(&sample, "twice_sealed", |objects| {
        objects.insert(layout::entry(7), next);
    })
    .await;
    let bytes = resigned(&sample.objects, LAST, ours, |statement| {
        statement.at = statement.at.plus_ms(1);
    })
    .await;
    damaged(&sample, "head_changed", put(bytes)).await;

    let bytes = resigned(&sample.objects, LAST, ours, |statement| {
        if let Content::Run(run) = &mut statement.content {
            run.died_runs = vec![crate::seal::DiedRun {
                start_n: 1,
                start_sha256: Sha256Hex::of(&sample.objects["starts/0000000001.json"]),
                run_id: Some("20261124T020000Z-00000001".parse().expect("id")),
                reason: "it was not".to_owned(),
            }];
        }
    })
    .await;
    damaged(&sample, "dead_run_sealed", put(bytes)).await;
}

#[tokio::test]
async fn newer_versions_are_named() {
    let sample = sample().await;
    let envelope = Envelope::parse(&sample.objects[LAST]).expect("envelope");
    let text = String::from_utf8(envelope.payload).expect("text");
    for newer in [
        text.replace("urn:keyproof:seal:v1", "urn:keyproof:seal:v2"),
        text.replace("\"kind\":\"run\"", "\"kind\":\"poem\""),
    ] {
        let bytes = signed(&sample.signer, newer.into_bytes()).await;
        damaged(&sample, "newer_version", |objects| {
            objects.insert(LAST.to_owned(), bytes);
        })
        .await;
    }
    let bytes = signed(&sample.signer, b"{}".to_vec()).await;
    damaged(&sample, "statement_malformed", |objects| {
        objects.insert(LAST.to_owned(), bytes);
    })
    .await;
}

#[tokio::test]
async fn a_manifest_and_its_sums_must_say_the_same() {
    let sample = sample().await;
    let envelope = Envelope::parse(&sample.objects[LAST]).expect("envelope");
    let statement = Statement::parse(&envelope.payload).expect("statement");
    let (manifest, sums) = (&statement.subjects[0].name, &statement.subjects[1].name);
    for (name, class) in [(sums, "sums_disagree"), (manifest, "malformed_manifest")] {
        let mut content = String::from_utf8(sample.objects[name].clone()).expect("text");
        content = if class == "sums_disagree" {
            content
                .lines()
                .skip(1)
                .map(|line| format!("{line}\n"))
                .collect()
        } else {
            content.replace("\"run_id\":\"2", "\"run_id\":\"3")
        };
        let bytes = resigned(&sample.objects, LAST, &sample.signer, |statement| {
            for subject in &mut statement.subjects {
                if subject.name == *name {
                    subject.sha256 = Sha256Hex::of(content.as_bytes());
                }
            }
        })
        .await;
        damaged(&sample, class, |objects| {
            objects.insert(LAST.to_owned(), bytes);
            objects.insert(name.clone(), content.into_bytes());
        })
        .await;
    }
}

#[tokio::test]
async fn another_archive_is_not_the_pinned_one() {
    let first = sample().await;
    let second = sample().await;
    let disk = OnDisk::new(&second.objects);
    let (classes, said) = disk.both(&first).await;
    assert!(classes.contains(&"genesis_not_pinned"), "{classes:?}");
    assert!(said.contains("FAIL genesis_not_pinned"), "{said}");
    // One entry of the other archive among ours.
    damaged(&first, "unknown_signer", |objects| {
        objects.insert(LAST.to_owned(), second.objects[LAST].clone());
    })
    .await;
}

#[tokio::test]
async fn an_intruder_must_be_named() {
    let sample = sample().await;
    let name = "chain/0000000004.dsse.json";
    let bytes = resigned(&sample.objects, name, &sample.signer, |statement| {
        statement.burnt_slots.clear();
    })
    .await;
    damaged(&sample, "intruder", |objects| {
        objects.insert(name.to_owned(), bytes);
    })
    .await;
    damaged(&sample, "envelope_not_canonical", |objects| {
        objects.insert(layout::entry(7), b"junk".to_vec());
    })
    .await;
}

#[tokio::test]
async fn links_and_odd_names_are_no_part_of_an_archive() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    disk.write("a name with blanks", b"x");
    let (classes, _) = disk.both(&sample).await;
    assert_eq!(classes, ["unexpected_object"]);
    std::fs::remove_file(disk.path("a name with blanks")).expect("remove");

    std::os::unix::fs::symlink("/etc/passwd", disk.path("evidence/link")).expect("link");
    let (classes, _) = disk.both(&sample).await;
    assert_eq!(classes, ["unexpected_object"]);
    std::fs::remove_file(disk.path("evidence/link")).expect("remove");

    // The right content behind a link is not the sealed file.
    let moved = disk.dir.path().join("moved");
    std::fs::rename(disk.path(LAST), &moved).expect("move");
    std::os::unix::fs::symlink(&moved, disk.path(LAST)).expect("link");
    let (classes, _) = disk.both(&sample).await;
    assert!(classes.contains(&"unreadable"), "{classes:?}");
    std::fs::remove_file(disk.path(LAST)).expect("remove");
    std::fs::rename(&moved, disk.path(LAST)).expect("move back");

    disk.write(".tmp/123-4", b"left by a dead process");
    let (classes, said) = disk.both(&sample).await;
    assert_eq!(classes, [""; 0], "{said}");
}

#[tokio::test]
async fn leftovers_of_an_unsealed_rollup_are_a_notice() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("run");
    archive.rollup().await.expect("rollup");
    memory.remove("chain/0000000003.dsse.json");
    let chain = archive.chain().await.expect("chain");
    let sample = Sample {
        objects: memory.objects(),
        pin: chain.genesis_sha256().clone(),
        head: (2, chain.head().sha256.clone()),
        signer: archive.signer.clone(),
    };
    let (classes, said) = OnDisk::new(&sample.objects).both(&sample).await;
    assert_eq!(classes, [""; 0], "{said}");
    damaged(&sample, "unexpected_object", |objects| {
        let name = objects.keys().find(|n| n.starts_with("rollup/")).cloned();
        let name = name.expect("rollup").replace("compliant_share", "other");
        objects.insert(name, b"x".to_vec());
    })
    .await;
}

#[tokio::test]
async fn a_backfill_is_sealed_like_a_run_and_its_leftovers_are_a_notice() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("run");
    archive.backfill().await.expect("backfill");
    archive.run().await.expect("run");
    let chain = archive.chain().await.expect("chain");
    let mut sample = Sample {
        objects: memory.objects(),
        pin: chain.genesis_sha256().clone(),
        head: (4, chain.head().sha256.clone()),
        signer: archive.signer.clone(),
    };
    let (classes, said) = OnDisk::new(&sample.objects).both(&sample).await;
    assert_eq!(classes, [""; 0], "{said}");
    let is_reading = |name: &&String| name.starts_with("evidence/trail_reading/");
    damaged(&sample, "digest_mismatch", |objects| {
        let name = objects.keys().find(is_reading).cloned().expect("a file");
        objects.get_mut(&name).expect("a file")[6] ^= 1;
    })
    .await;
    damaged(&sample, "missing_file", |objects| {
        let name = objects.keys().find(is_reading).cloned().expect("a file");
        objects.remove(&name);
    })
    .await;
    damaged(&sample, "unexpected_object", |objects| {
        let name = objects.keys().find(is_reading).cloned().expect("a file");
        objects.insert(name.replace("0a1b", "0a1c"), b"x".to_vec());
    })
    .await;

    // Not sealed: it says so itself, and excuses nothing that a run writes.
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("run");
    archive.backfill().await.expect("backfill");
    memory.remove("chain/0000000003.dsse.json");
    let chain = archive.chain().await.expect("chain");
    sample = Sample {
        objects: memory.objects(),
        pin: chain.genesis_sha256().clone(),
        head: (2, chain.head().sha256.clone()),
        signer: archive.signer.clone(),
    };
    let (classes, said) = OnDisk::new(&sample.objects).both(&sample).await;
    assert_eq!(classes, [""; 0], "{said}");
    assert!(said.contains("rollup or backfill"), "{said}");
    for other in ["verdict", "backfilled_launch/v2"] {
        damaged(&sample, "unexpected_object", |objects| {
            let name = objects.keys().find(is_reading).cloned().expect("a file");
            let name = match other.split_once('/') {
                Some(_) => name.replace("trail_reading/v1", other),
                None => name.replace("trail_reading", other),
            };
            objects.insert(name, b"x".to_vec());
        })
        .await;
    }
}

#[tokio::test]
async fn a_lower_level_reports_less() {
    let sample = sample().await;
    let mut objects = sample.objects.clone();
    objects.remove(LAST);
    let memory = MemoryStore::holding(objects);
    for (level, passed) in [(2, true), (3, false)] {
        let options = VerifyOptions {
            level,
            ..sample.options()
        };
        let report = verify(&memory, &options).await.expect("listed");
        assert_eq!(report.levels.len(), usize::from(level));
        assert_eq!(report.passed(), passed, "{:?}", report.failures);
    }
}

/// Levels below the highest must not call good what a higher one would have told.
#[tokio::test]
async fn no_level_passes_where_nobody_vouches_for_files() {
    let sample = sample().await;
    let first = "chain/0000000001.dsse.json";
    let middle = "chain/0000000004.dsse.json";
    let wide = |name: &str| {
        let mut objects = sample.objects.clone();
        objects.insert(name.to_owned(), flip(&sample.objects[name], 801));
        objects
    };
    let mut gap = sample.objects.clone();
    gap.remove(middle);
    let mut keyless = sample.objects.clone();
    let pem = layout::key(&sample.signer.public_key().keyid());
    keyless.insert(pem, b"x".to_vec());
    let mut newer = sample.objects.clone();
    let text = Envelope::parse(&newer[LAST]).expect("envelope").payload;
    let text = String::from_utf8(text).expect("text");
    let text = text.replace("urn:keyproof:seal:v1", "urn:keyproof:seal:v2");
    newer.insert(
        LAST.to_owned(),
        signed(&sample.signer, text.into_bytes()).await,
    );
    let all = [wide(first), wide(middle), wide(LAST), gap, keyless, newer];
    for (at, objects) in all.into_iter().enumerate() {
        for pin in [Some(sample.pin.clone()), None] {
            for level in 1..=3 {
                let options = VerifyOptions {
                    level,
                    pin: pin.clone(),
                    ..VerifyOptions::default()
                };
                let memory = MemoryStore::holding(objects.clone());
                let report = verify(&memory, &options).await.expect("listed");
                assert!(!report.passed(), "damage {at}, level {level}");
                assert!(!report.failures.is_empty(), "damage {at}, level {level}");
                assert_ne!(report.levels[0].outcome, LevelOutcome::Pass, "{report:?}");
            }
        }
    }
}

#[tokio::test]
async fn another_pin_or_key_fails_at_any_level() {
    let sample = sample().await;
    let memory = MemoryStore::holding(sample.objects.clone());
    for level in 1..=3 {
        let pinned = VerifyOptions {
            level,
            pin: Some(Sha256Hex::of(b"another")),
            ..VerifyOptions::default()
        };
        let report = verify(&memory, &pinned).await.expect("listed");
        assert_eq!(report.failures[0].class(), "genesis_not_pinned");
        assert_eq!(report.levels[0].outcome, LevelOutcome::Fail);
        assert!(!report.passed());
        let keyed = VerifyOptions {
            level,
            key: Some(TestSigner::generate().public_key().clone()),
            ..VerifyOptions::default()
        };
        let report = verify(&memory, &keyed).await.expect("listed");
        assert_eq!(report.failures[0].class(), "wrong_key");
        assert!(!report.passed());
    }
}

/// Commands spawn these on a runtime with several threads.
#[tokio::test]
async fn everything_may_run_on_any_thread() {
    let (mut archive, memory) = SampleArchive::in_memory();
    let sealed = tokio::spawn(async move { archive.run().await.map(|done| done.seq) });
    assert_eq!(sealed.await.expect("joined").expect("sealed"), 2);
    let report =
        tokio::spawn(async move { verify(memory.as_ref(), &VerifyOptions::default()).await });
    assert!(report.await.expect("joined").expect("listed").passed());
}

/// The auditor's walk of `docs/trust.md`, as printed, from a folder, a pin and the name of a file.
#[tokio::test]
async fn the_documented_walk_works() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    let (_, rest) = include_str!("../../../../docs/trust.md")
        .split_once("```sh\n")
        .expect("commands");
    let (commands, _) = rest.split_once("```").expect("end of commands");
    let found = |part: &str| {
        let mut names = sample.objects.keys();
        names.find(|n| n.starts_with(part)).expect("there").clone()
    };
    let file = found("evidence/coverage/");
    let walk = |pin: &str| {
        let done = Command::new("sh")
            .args(["-e", "-u", "-c", commands])
            .current_dir(disk.store.root())
            .env("TMPDIR", disk.dir.path())
            .env("PIN", pin)
            .env("FILE", &file)
            .output()
            .expect("sh runs");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.success(), said)
    };
    let pin = sample.pin.as_str();
    let (success, said) = walk(pin);
    assert!(success, "{said}");
    assert_eq!(said.matches("Verified OK\n").count(), 1, "{said}");
    assert_eq!(said.matches(": OK\n").count(), 4, "{said}");
    assert!(said.contains(&format!("{file}: OK\n")), "{said}");

    assert!(!walk(Sha256Hex::of(b"another").as_str()).0);
    let (first, second) = ("chain/0000000001.dsse.json", "chain/0000000002.dsse.json");
    let (key, sums) = (found("keys/"), found("sums/"));
    let entry = &sample.objects[second];
    let sig = entry
        .windows(7)
        .rposition(|w| w == b"\"sig\":\"")
        .expect("signature");
    for (name, bit) in [
        (file.as_str(), 801),
        (&sums, 9),
        (&key, 801),
        (first, 801),
        (second, 801),
        // A character of the signature's middle.
        (second, (sig + 40) * 8),
    ] {
        let bytes = &sample.objects[name];
        disk.write(name, &flip(bytes, bit));
        let (success, said) = walk(pin);
        assert!(!success, "{name}: {said}");
        disk.write(name, bytes);
    }
    // A good entry in another slot.
    let moved = layout::entry(7);
    std::fs::rename(disk.path(second), disk.path(&moved)).expect("move");
    assert!(!walk(pin).0);
}
