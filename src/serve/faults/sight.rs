//! A segment seen from outside, for faults in what the library has just written to it.
//!
//! They are committed right after a frame was sent, and count only if the reader was not faster.

use super::fault::Fault;
use super::plan::Plan;
use crate::BufferName;
use crate::serve::failure::Failure;
use crate::serve::outside::segment::{Field, HEADER, RawHeader, RawSegment};

/// No marker, and no header that makes sense.
const RUBBISH: RawHeader = RawHeader {
    size: u64::MAX,
    sequence: u64::MAX,
};

/// The segment, from before a frame was sent.
pub(super) struct Sight {
    segment: RawSegment,
    /// Where the frame would stand, if the end of the ring were not skipped.
    position: u64,
}

impl Sight {
    const FAULTS: [Fault; 4] = [
        Fault::WrapMarkerMissing,
        Fault::PostDoubled,
        Fault::PostMissing,
        Fault::FreeBytesOffByOne,
    ];

    pub(super) fn before_commit(
        plan: &Plan,
        buffer: &BufferName,
    ) -> Result<Option<Sight>, Failure> {
        if !Self::FAULTS.iter().any(|fault| plan.is_to_try(*fault)) {
            return Ok(None);
        }
        let segment = RawSegment::open(buffer)?;
        let position = segment.get(Field::PayloadWritePos)?;
        Ok(Some(Sight { segment, position }))
    }

    pub(super) fn commit(&self, plan: &Plan, what: &str) -> Result<(), Failure> {
        plan.attempt(Fault::WrapMarkerMissing, &what, || self.spoil_marker())?;
        plan.attempt(Fault::PostDoubled, &what, || self.post_once_more())?;
        plan.attempt(Fault::PostMissing, &what, || self.take_post())?;
        plan.attempt(Fault::FreeBytesOffByOne, &what, || self.miscount())
    }

    fn spoil_marker(&self) -> Result<bool, Failure> {
        let capacity = self.segment.get(Field::PayloadSize)?;
        let has_room = capacity.saturating_sub(self.position) >= HEADER;
        if !has_room || self.segment.header_at(self.position)? != RawHeader::WRAP {
            return Ok(false);
        }
        self.segment.put_header(self.position, RUBBISH)?;
        // The marker and the frame behind it: the reader has passed neither.
        let written = self.segment.get(Field::PayloadWrittenCount)?;
        Ok(written.wrapping_sub(self.segment.get(Field::PayloadReadCount)?) >= 2)
    }

    fn post_once_more(&self) -> Result<bool, Failure> {
        let posts = self.segment.data_posts()?;
        self.segment.set_data_posts(posts + 1)?;
        Ok(true)
    }

    fn take_post(&self) -> Result<bool, Failure> {
        let posts = self.segment.data_posts()?;
        if posts > 0 {
            self.segment.set_data_posts(posts - 1)?;
        }
        Ok(posts > 0)
    }

    fn miscount(&self) -> Result<bool, Failure> {
        let free = self.segment.get(Field::PayloadFreeBytes)?;
        let wrong = free.checked_sub(1).unwrap_or(1);
        self.segment.set(Field::PayloadFreeBytes, wrong)?;
        Ok(true)
    }
}
