//! Runs that die on the way.

use super::*;

/// Kill a run at every call it makes, then let the next one run: what is stored verifies always.
#[tokio::test]
async fn an_archive_verifies_wherever_a_run_dies() {
    use crate::testkit::{Fault, FaultStore};
    for fault in [Fault::Dead, Fault::DeadAfter] {
        let mut call = 1;
        loop {
            let (archive, memory) = SampleArchive::in_memory();
            let faulty = FaultStore::new(memory.clone(), [(call, fault)]);
            let mut dying = archive.over(Arc::new(faulty.clone()));
            let first = dying.run().await;
            if call > faulty.calls() {
                first.expect("no fault was met");
                break;
            }
            let check = async || {
                let report = verify(memory.as_ref(), &VerifyOptions::default()).await;
                let report = report.expect("listed");
                let begun = report.genesis_sha256.is_some();
                assert!(
                    !begun || report.passed(),
                    "{fault:?} at {call}: {:?}",
                    report.failures
                );
                report.runs.len()
            };
            let sealed = check().await;
            let mut next = archive.over(memory.clone());
            next.clock.advance_ms(7 * HOUR_MS);
            next.run().await.expect("the next run");
            assert_eq!(check().await, sealed + 1, "{fault:?} at {call}");
            next.clock.advance_ms(DAY_MS);
            call += 1;
        }
        assert!(call > 10, "the loop must have done something");
    }
}
