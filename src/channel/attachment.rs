//! Attaching to a buffer that somebody else has made: the writer's side of its life.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::layout::{BlockSizes, MAJOR, OIEB_SIZE, Oieb, Segment, oieb_of};
use super::name::semaphore_path;
use super::owner::Parts;
use super::point::Point;
use super::reader_watch::ReaderWatch;
use super::sys::clock::coarse_now;
use super::sys::process::{Watch, own_pid};
use super::sys::semaphore::Semaphore;
use super::sys::shm::Mapping;
use super::wait::TICK;
use super::{BufferName, Error, Result};

/// How long the reader of a dead writer has to put the buffer in order before another writer takes
/// the place itself.
const RECOVERY: Duration = Duration::from_millis(300);

/// How long between two looks at a buffer that is not ready.
const RETRY: Duration = Duration::from_millis(2);

/// The writer's place in a buffer; left in good order when dropped.
#[derive(Debug)]
pub(crate) struct Attachment {
    name: BufferName,
    pub(crate) parts: Parts,
    pub(crate) reader: Arc<ReaderWatch>,
    /// Posts of this data semaphore.
    posts: u64,
    /// When the reader was last looked after, by the coarse clock.
    checked: Duration,
}

/// Why a buffer cannot be attached to yet.
enum Obstacle {
    /// It does not exist.
    Missing,
    /// Something about it is missing.
    NotReady(&'static str),
    /// This process is in the place, and may yet leave it.
    Taken(u64),
}

impl Attachment {
    /// Takes the writer's place in the buffer `name`, waiting for its reader up to `timeout`, and
    /// no longer than it is `wanted`.
    pub(crate) fn attach(
        name: &BufferName,
        timeout: Duration,
        wanted: impl Fn() -> bool,
    ) -> Result<Attachment> {
        let begun = Instant::now();
        let mut occupant = None;
        loop {
            let obstacle = match Self::try_attach(name, &mut occupant)? {
                Ok(attachment) => {
                    tracing::debug!(%name, reader = attachment.reader.pid(), "attached");
                    return Ok(attachment);
                }
                Err(obstacle) => obstacle,
            };
            let waited = begun.elapsed();
            // A dead writer's place is not an obstacle that the caller has to wait for.
            let recovering = matches!(obstacle, Obstacle::Taken(_));
            let patience = if recovering {
                timeout.max(RECOVERY * 2)
            } else {
                timeout
            };
            if waited >= patience || !wanted() {
                return Err(obstacle.into_error(name, waited));
            }
            std::thread::sleep(RETRY.min(patience - waited));
        }
    }

    fn try_attach(
        name: &BufferName,
        occupant: &mut Occupant,
    ) -> Result<std::result::Result<Attachment, Obstacle>> {
        let segment = match open_segment(name)? {
            Ok(segment) => segment,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let reader = Watch::new(segment.oieb().reader_pid.load(Ordering::Acquire));
        if !reader.is_alive() {
            return Ok(Err(Obstacle::NotReady("its reader has gone")));
        }
        let (data, space) = (name.data_semaphore(), name.space_semaphore());
        let (Some(data), Some(space)) = (open_semaphore(name, data)?, open_semaphore(name, space)?)
        else {
            return Ok(Err(Obstacle::NotReady("a semaphore is missing")));
        };
        Point::AttachOpened.passed();
        if let Some(obstacle) = take_place(name, segment.oieb(), reader.pid(), occupant)? {
            return Ok(Err(obstacle));
        }
        Point::AttachTaken.passed();
        let segment = Arc::new(segment);
        let reader = ReaderWatch::new(name.clone(), Arc::clone(&segment), reader);
        let parts = Parts {
            segment,
            data,
            space,
        };
        // From here on, dropping gives the place back.
        let attachment = Attachment {
            name: name.clone(),
            parts,
            reader: Arc::new(reader),
            posts: 0,
            checked: coarse_now(),
        };
        if attachment.is_current() {
            attachment.parts.segment.mapping().prefault();
            Point::AttachDone.passed();
            Ok(Ok(attachment))
        } else {
            Ok(Err(Obstacle::NotReady("its reader is being replaced")))
        }
    }

    /// Looks whether the reader still lives and the buffer is still the one of that name.
    ///
    /// Some readers replace semaphores that an earlier one left after their control block is
    /// filled in; those are opened anew, and what was posted in vain is posted again.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.checked = coarse_now();
        self.reader.check()?;
        if !self.parts.data.is_at_its_path() {
            self.reopen_data()?;
        }
        if !self.parts.space.is_at_its_path()
            && let Some(space) = open_semaphore(&self.name, self.name.space_semaphore())?
        {
            self.parts.space = space;
        }
        Ok(())
    }

    /// As [`Attachment::check`], if the last look was a while ago.
    pub(crate) fn check_now_and_then(&mut self) -> Result<()> {
        if coarse_now().saturating_sub(self.checked) < TICK / 2 {
            return Ok(());
        }
        self.check()
    }

    fn reopen_data(&mut self) -> Result<()> {
        if let Some(data) = open_semaphore(&self.name, self.name.data_semaphore())? {
            tracing::debug!(name = %self.name, posts = self.posts, "data semaphore was replaced");
            self.parts.data = data;
            let in_vain = std::mem::take(&mut self.posts).min(self.unread_entries());
            for _ in 0..in_vain {
                self.post_data();
            }
        }
        Ok(())
    }

    /// Tells the reader of one frame.
    pub(crate) fn post_data(&mut self) {
        self.posts += 1;
        self.parts.data.post();
    }

    /// Frames and wraps that the reader has not read, as both sides count them.
    fn unread_entries(&self) -> u64 {
        let oieb = self.parts.segment.oieb();
        let written = oieb.payload_written_count.load(Ordering::Relaxed);
        written.wrapping_sub(oieb.payload_read_count.load(Ordering::Relaxed))
    }

    /// Whether segment and semaphores are still those of the buffer's name, and the reader there.
    pub(crate) fn is_current(&self) -> bool {
        self.reader.has_its_name()
            && self.parts.data.is_at_its_path()
            && self.parts.space.is_at_its_path()
            && !self.reader.has_left()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // If the place is another's, as it is for a forked child, there is nothing to leave.
        if self.parts.segment.oieb().writer_pid.load(Ordering::Relaxed) != own_pid() {
            return;
        }
        // The last frames may have been posted in vain. Who has gone does not miss them.
        if self.posts > 0
            && let Err(error) = self.check()
        {
            tracing::debug!(name = %self.name, %error, "left a buffer");
        }
        Point::WriterLeaving.passed();
        // Release: what this writer wrote is there before it is seen to be gone.
        let place = &self.parts.segment.oieb().writer_pid;
        let _ = place.compare_exchange(own_pid(), 0, Ordering::Release, Ordering::Relaxed);
        Point::WriterLeft.passed();
    }
}

impl Obstacle {
    fn into_error(self, name: &BufferName, waited: Duration) -> Error {
        let name = name.to_string();
        match self {
            Obstacle::Missing => Error::BufferNotFound { name, waited },
            Obstacle::NotReady(why) => Error::NotReady { name, why, waited },
            Obstacle::Taken(pid) => Error::WriterAlreadyConnected { name, pid },
        }
    }
}

fn open_segment(name: &BufferName) -> Result<std::result::Result<Segment, Obstacle>> {
    let path = name.segment_path();
    let opened = Mapping::open(&path).map_err(|error| {
        Error::from_io(
            name.as_str(),
            format!("open segment {}", path.display()),
            error,
        )
    })?;
    let Some(mapping) = opened else {
        return Ok(Err(Obstacle::Missing));
    };
    let Some(oieb) = oieb_of(&mapping) else {
        return Ok(Err(Obstacle::NotReady(
            "its control block is not there yet",
        )));
    };
    // Acquire: pairs with the release store of a reader that has filled in the rest before.
    if oieb.reader_pid.load(Ordering::Acquire) == 0 {
        return Ok(Err(Obstacle::NotReady(
            "its reader is not there yet, or has left",
        )));
    }
    let Some(sizes) = check_sizes(name, oieb, mapping.length())? else {
        return Ok(Err(Obstacle::NotReady(
            "its control block is not filled in yet",
        )));
    };
    Ok(Ok(Segment::new(mapping, sizes)))
}

/// Checks version and sizes; `None` while they are not filled in.
pub(super) fn check_sizes(
    name: &BufferName,
    oieb: &Oieb,
    length: u64,
) -> Result<Option<BlockSizes>> {
    let oieb_size = oieb.oieb_size.load(Ordering::Relaxed);
    let major = oieb.version[0].load(Ordering::Relaxed);
    let metadata = oieb.metadata_size.load(Ordering::Relaxed);
    let payload = oieb.payload_size.load(Ordering::Relaxed);
    if oieb_size == 0 || major == 0 || payload == 0 {
        return Ok(None);
    }
    if u64::from(oieb_size) != OIEB_SIZE || major != MAJOR {
        return Err(Error::IncompatibleVersion {
            name: name.to_string(),
            oieb_size,
            major,
        });
    }
    let sizes = BlockSizes { metadata, payload };
    match sizes.total() {
        Some(total) if total == length => Ok(Some(sizes)),
        _ => Err(Error::Corrupt {
            name: name.to_string(),
            what: format!(
                "{OIEB_SIZE} + {metadata} bytes of metadata + {payload} bytes of payload do not \
                 make the segment's {length} bytes"
            ),
        }),
    }
}

fn open_semaphore(name: &BufferName, semaphore: String) -> Result<Option<Semaphore>> {
    let path = semaphore_path(&semaphore);
    Semaphore::open(&semaphore, path.clone()).map_err(|error: io::Error| {
        Error::from_io(
            name.as_str(),
            format!("open semaphore {}", path.display()),
            error,
        )
    })
}

/// Since when which process has been seen in the writer's place.
type Occupant = Option<(u64, Instant)>;

/// Takes `writer_pid`, from 0 or from a dead writer whose reader does not put things in order.
fn take_place(
    name: &BufferName,
    oieb: &Oieb,
    reader: u64,
    occupant: &mut Occupant,
) -> Result<Option<Obstacle>> {
    let present = oieb.writer_pid.load(Ordering::Relaxed);
    if occupant.is_none_or(|(pid, _)| pid != present) {
        *occupant = Some((present, Instant::now()));
    }
    if present != 0 {
        let is_alive = Watch::new(present).is_alive();
        // The reader itself stands there for a moment while it recovers from a dead writer.
        let may_leave = !is_alive || present == reader;
        if may_leave && occupant.is_some_and(|(_, since)| since.elapsed() < RECOVERY) {
            return Ok(Some(Obstacle::Taken(present)));
        }
        if is_alive {
            return Err(Error::WriterAlreadyConnected {
                name: name.to_string(),
                pid: present,
            });
        }
    }
    // Acquire: pairs with the release store of a writer that left, or of a reader that recovered.
    let order = (Ordering::Acquire, Ordering::Relaxed);
    let taken = oieb
        .writer_pid
        .compare_exchange(present, own_pid(), order.0, order.1);
    Ok(taken.err().map(Obstacle::Taken))
}
