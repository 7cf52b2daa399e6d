//! Where a writer goes on behind one that has died.

use super::*;

#[test]
fn a_reader_that_is_about_to_tell_where_it_is_is_waited_for() {
    let (_reader, mut writer) = pair("half-told", 1024);
    let segment = Arc::clone(&writer.attachment.parts.segment);
    let tell = |position, count| {
        let oieb = segment.oieb();
        oieb.payload_read_pos.store(position, Ordering::Relaxed);
        oieb.payload_read_count.store(count, Ordering::Release);
    };
    // Behind a wrap, then behind the frame there: its position first, and a moment later its count.
    tell(0, 1);
    let mut pauses = 0;
    writer.find_end(|| {
        pauses += 1;
        match pauses {
            5 => segment.oieb().payload_read_pos.store(64, Ordering::Relaxed),
            6 => tell(64, 2),
            _ => {}
        }
    });
    assert_eq!((writer.position, writer.written_count), (64, 2));

    // One that tells 0 behind a frame that ends with the ring, and says nothing more.
    tell(0, 3);
    writer.find_end(|| {});
    assert_eq!((writer.position, writer.written_count), (0, 3));
}
