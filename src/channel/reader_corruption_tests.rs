//! What no sound peer writes.

use proptest::prelude::*;

use super::*;

#[test]
fn a_wrong_sequence_is_an_error_that_stays() {
    let (mut reader, mut writer) = pair("sequence", 1024);
    writer.write(b"1").unwrap();
    drop(next(&mut reader));
    writer.loan(1).unwrap().commit_as(3).unwrap();
    for _ in 0..3 {
        let error = reader.read(SHORT).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Sequence {
                    expected: 2,
                    got: 3,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn gaps_are_accepted_only_where_they_are_allowed() {
    let (mut reader, mut writer) = pair("gaps", 1024);
    reader.set_gaps(Gaps::Allowed);
    for sequence in [2, 5] {
        writer.loan(1).unwrap().commit_as(sequence).unwrap();
        assert_eq!(next(&mut reader).sequence(), sequence);
    }
    writer.loan(1).unwrap().commit_as(4).unwrap();
    let error = reader.read(SHORT).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Sequence {
                expected: 6,
                got: 4,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn metadata_with_a_wrong_length_is_corrupt() {
    let (reader, mut writer) = pair("metadata", 1024);
    assert_eq!(reader.metadata().unwrap(), None);
    writer.set_metadata(&[7; 56]).unwrap();
    assert_eq!(reader.metadata().unwrap().unwrap(), [7; 56]);
    let segment = &reader.account.parts.segment;
    for length in [0, 57, u64::MAX] {
        segment.write_metadata(0, &length.to_le_bytes());
        assert!(
            matches!(reader.metadata(), Err(Error::Corrupt { .. })),
            "length {length}"
        );
    }
    segment.write_metadata(0, &1_u64.to_le_bytes());
    for written in [1, 8, 65, u64::MAX] {
        oieb(&reader)
            .metadata_written_bytes
            .store(written, Ordering::Relaxed);
        assert!(
            matches!(reader.metadata(), Err(Error::Corrupt { .. })),
            "written {written}"
        );
    }
}

#[test]
fn a_header_of_no_bytes_is_not_a_wrap_marker() {
    let (mut reader, mut writer) = pair("empty", 1024);
    writer.write(&[1; 10]).unwrap();
    let segment = &reader.account.parts.segment;
    segment.write_payload(
        0,
        &Header {
            size: 0,
            sequence: 1,
        }
        .to_bytes(),
    );
    let error = reader.read(SHORT).unwrap_err();
    assert!(
        error.to_string().contains("no bytes with sequence 1"),
        "{error}"
    );
}

#[test]
fn a_second_wrap_marker_is_corrupt() {
    let (mut reader, mut writer) = pair("two-wraps", 256);
    writer.write(&[1; 112]).unwrap();
    drop(next(&mut reader));
    let segment = &reader.account.parts.segment;
    segment.zero_payload(0, 256);
    oieb(&reader).payload_free_bytes.store(0, Ordering::Relaxed);
    reader.account.parts.data.post();
    let error = reader.read(SHORT).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    // The first one was followed, to an entry that says the same.
    assert_eq!(reader.position, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_bytes_in_the_segment_break_the_reader(
        control in proptest::collection::vec((0x08_usize..0x50, any::<u8>()), 0..6),
        payload in proptest::collection::vec(any::<u8>(), 256),
        entry in prop_oneof![Just(None), (0_u64..300, 0_u64..4).prop_map(Some)],
        posts in 1..5,
    ) {
        let (mut reader, mut writer) = pair("any-bytes", 256);
        writer.write(&[1; 50]).unwrap();
        {
            let segment = &reader.account.parts.segment;
            segment.write_payload(0, &payload);
            if let Some((size, sequence)) = entry {
                segment.write_payload(0, &Header { size, sequence }.to_bytes());
            }
            for (offset, byte) in &control {
                // SAFETY: the control block has 128 bytes, and the test is the only other user.
                unsafe { *segment.mapping().as_ptr().add(*offset) = *byte };
            }
        }
        (0..posts).for_each(|_| reader.account.parts.data.post());
        for _ in 0..6 {
            // Every outcome is fine but a panic, a hang or an access outside the mapping.
            if let Ok(Some(frame)) = reader.read(Duration::from_micros(100)) {
                prop_assert!(frame.len() <= 240);
                frame.to_vec();
            }
        }
        let _ = reader.metadata();
    }
}
