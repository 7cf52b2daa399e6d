//! Writing and reading for as long as it takes.

use std::time::{Duration, Instant};

use super::census::{Census, mebibytes};
use super::task::{Stop, Task};
use crate::channel::Gaps;
use crate::serve::ends::reading::ReadingEnd;
use crate::serve::ends::{Frame, Reader, Writer};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::segment::RawSegment;
use crate::serve::pattern;
use crate::{BufferConfig, BufferName, Error};

/// The variable with the seconds for which a test runs that would take hours.
const SECONDS: &str = "HARMONY_LONG_RUNNING_SECONDS";

/// Unless it is set.
const DEFAULT: Duration = Duration::from_secs(5);

/// A run is looked at in so many pieces.
const PIECES: u32 = 10;

/// The largest frame, in bytes.
const LARGEST: usize = 8192;

/// The longest that one write may take: a reader that reads all the time makes room all the time.
const LONGEST_WRITE: Duration = Duration::from_secs(2);

/// How often a waiting read looks whether it is to stop.
const TICK: Duration = Duration::from_millis(50);

/// How long one frame may take to cross.
const PATIENCE: Duration = Duration::from_secs(5);

/// For how long a test runs here whose text says `hours`.
///
/// # Errors
///
/// If the variable is no number of seconds.
pub fn scaled(hours: u64) -> Result<Duration, Failure> {
    let asked = Duration::from_secs(hours.saturating_mul(3600));
    let scaled = match std::env::var(SECONDS) {
        Err(_) => DEFAULT,
        Ok(text) => seconds(&text)?,
    };
    Ok(asked.min(scaled))
}

fn seconds(text: &str) -> Result<Duration, Failure> {
    let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
    match seconds {
        Some(Ok(time)) if !time.is_zero() => Ok(time),
        _ => Err(Failure::new(format!(
            "{SECONDS}: expected a number of seconds, found '{text}'"
        ))),
    }
}

/// The data of all frames: of the frame with a sequence number, a piece of it.
struct Data(Vec<u8>);

impl Data {
    fn new() -> Result<Data, Failure> {
        Ok(Data(pattern::plain(LARGEST + 256)?))
    }

    /// What the frame with this sequence number holds; sizes differ from frame to frame.
    fn of(&self, sequence: u64) -> &[u8] {
        let size = 1 + (sequence.wrapping_mul(7919) % LARGEST as u64) as usize;
        let first = (sequence % 256) as usize;
        &self.0[first..first + size]
    }

    fn compare(&self, frame: &Frame) -> StepOutcome {
        let what = format!("frame {}", frame.sequence());
        pattern::compare(&what, self.of(frame.sequence()), &frame.to_vec())
    }
}

/// What a run has been, on the writing side.
#[derive(Debug)]
pub struct Run {
    /// How long it took.
    pub took: Duration,
    /// Frames written.
    pub frames: u64,
    bytes: u64,
    longest: Duration,
    /// Frames written in each piece of the time.
    pieces: Vec<u64>,
    /// What the process held before, and after each piece.
    held: Vec<Census>,
}

impl Run {
    /// Writes for so long; `mark` is in the names of this run.
    ///
    /// # Errors
    ///
    /// If a write fails, or nobody reads.
    pub fn write(writer: &mut Writer, time: Duration, mark: &str) -> Result<Run, Failure> {
        let data = Data::new()?;
        let mut run = Run {
            took: Duration::ZERO,
            frames: 0,
            bytes: 0,
            longest: Duration::ZERO,
            pieces: Vec::new(),
            held: Vec::new(),
        };
        // Both sides know of each other from the first frame on.
        run.write_one(writer, &data)?;
        wait_until_read(&RawSegment::open(writer.name())?)?;
        run.held.push(Census::take(mark)?);
        // What the looks take is no time in which frames could be written.
        let (begun, mut looks) = (Instant::now(), Duration::ZERO);
        for piece in 1..=PIECES {
            let end = time * piece / PIECES;
            let before = run.frames;
            while begun.elapsed() < end + looks {
                run.write_one(writer, &data)?;
            }
            run.pieces.push(run.frames - before);
            let look = Instant::now();
            run.held.push(Census::settled(run.before(), mark)?);
            looks += look.elapsed();
        }
        run.took = begun.elapsed() - looks;
        Ok(run)
    }

    fn write_one(&mut self, writer: &mut Writer, data: &Data) -> StepOutcome {
        let frame = data.of(writer.next_sequence());
        let begun = Instant::now();
        writer.write(frame)?;
        self.longest = self.longest.max(begun.elapsed());
        self.frames += 1;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// What the process held before.
    pub fn before(&self) -> &Census {
        &self.held[0]
    }

    /// Checks that the process held at no time more than before.
    ///
    /// # Errors
    ///
    /// A failure that says what it held more of.
    pub fn expect_steady_use(&self) -> StepOutcome {
        expect_equal("looks at the process", PIECES as usize + 1, self.held.len())?;
        for (piece, held) in self.held.iter().enumerate().skip(1) {
            let changes = held.changes_since(self.before());
            if !changes.is_empty() {
                let changes = changes.join("; ");
                return Err(Failure::new(format!("after piece {piece}: {changes}")));
            }
        }
        Ok(())
    }

    /// Checks that frames were written all the time, and none took long.
    ///
    /// # Errors
    ///
    /// A failure that says when none was, or how long one took.
    pub fn expect_stable(&self) -> StepOutcome {
        if let Some(piece) = self.pieces.iter().position(|frames| *frames == 0) {
            return Err(Failure::new(format!(
                "expected frames in each of {PIECES} pieces of the time, found none in piece {}",
                piece + 1
            )));
        }
        if self.longest > LONGEST_WRITE {
            return Err(Failure::new(format!(
                "expected no write to take more than {LONGEST_WRITE:?}, found {:?}",
                self.longest
            )));
        }
        Ok(())
    }

    /// Figures for people.
    pub fn summary(&self) -> String {
        let seconds = self.took.as_secs_f64();
        format!(
            "{} frames in {:.1} s, {:.0} a second, {} a second; the longest write took {:?}",
            self.frames,
            seconds,
            self.frames as f64 / seconds,
            mebibytes((self.bytes as f64 / seconds) as u64),
            self.longest
        )
    }

    /// What the process held before and after, for people.
    pub fn resources(&self) -> String {
        let after = self.held.last().unwrap_or(self.before());
        format!("at the beginning: {}\nat the end: {after}", self.before())
    }
}

fn wait_until_read(segment: &RawSegment) -> StepOutcome {
    let begun = Instant::now();
    while segment.used()? > 0 {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(format!(
                "expected a reader that reads all the time, found the first frame unread after \
                 {PATIENCE:?}"
            )));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Reading in the background.
#[derive(Debug)]
pub struct Reading(Task<Read>);

/// What was read.
#[derive(Debug)]
pub struct Read {
    /// The reader.
    pub end: ReadingEnd,
    /// How many frames it has read.
    pub frames: u64,
    /// What the process held after the first of them.
    pub before: Option<Census>,
}

impl Reading {
    /// Reads frame after frame and compares every byte and every sequence number, until
    /// [`finish`](Self::finish); `mark` is in the names of this run.
    ///
    /// # Errors
    ///
    /// If threads run out.
    pub fn start(end: ReadingEnd, mark: String) -> Result<Reading, Failure> {
        let read = move |stop: &Stop| read(end, &mark, stop);
        Ok(Reading(Task::start("endurance-reader", read)?))
    }

    /// Ends when nothing is left to be read.
    ///
    /// # Errors
    ///
    /// If a read has failed, or a frame was not what it should be.
    pub fn finish(self) -> Result<Read, Failure> {
        self.0.stop()
    }
}

fn read(end: ReadingEnd, mark: &str, stop: &Stop) -> Result<Read, Failure> {
    let data = Data::new()?;
    let mut read = Read {
        end,
        frames: 0,
        before: None,
    };
    loop {
        match read.end.reader()?.read(TICK) {
            Ok(Some(frame)) => {
                read.frames += 1;
                expect_equal("sequence number", read.frames, frame.sequence())?;
                data.compare(&frame)?;
            }
            Ok(None) | Err(Error::WriterDead { .. }) if stop.is_asked_for() => return Ok(read),
            Ok(None) => {}
            Err(error) => return Err(error.into()),
        }
        if read.frames == 1 && read.before.is_none() {
            read.before = Some(Census::take(mark)?);
        }
    }
}

/// Sends frames across a boundary of the sequence numbers: the last two before it and the first two
/// behind it, in a buffer of its own.
///
/// Nobody lives long enough to write as many frames as it takes to get there. So the first of them is
/// given its number, and a reader that accepts a gap takes it; from then on both go on as always, and
/// a number that is not the next one is an error.
///
/// # Errors
///
/// If a frame is refused, or does not have its number.
pub fn cross_boundary(buffer: &BufferName, boundary: u64) -> StepOutcome {
    let mut reader = Reader::create(buffer, &BufferConfig::new(0, 64 * 1024))?;
    let mut writer = Writer::connect(buffer, PATIENCE)?;
    let data = Data::new()?;
    let first = boundary.wrapping_sub(2);
    reader.set_gaps(Gaps::Allowed);
    write_as(&mut writer, data.of(first), first)?;
    expect_frame(&mut reader, &data, first)?;
    reader.set_gaps(Gaps::Refused);
    for ahead in 1..4 {
        let sequence = first.wrapping_add(ahead);
        let written = writer.write(data.of(sequence))?;
        expect_equal("sequence number written", sequence, written)?;
        expect_frame(&mut reader, &data, sequence)?;
    }
    // The same number in its lower half, another one in the upper.
    let expected = first.wrapping_add(4);
    let wrong = expected ^ (1 << 32);
    write_as(&mut writer, data.of(wrong), wrong)?;
    match reader.read(PATIENCE) {
        Err(Error::Sequence { got, .. }) => expect_equal("number refused", wrong, got),
        other => Err(Failure::new(format!(
            "expected number {wrong} to be refused in place of {expected}, found {other:?}"
        ))),
    }
}

fn write_as(writer: &mut Writer, data: &[u8], sequence: u64) -> StepOutcome {
    let mut loan = writer.loan(data.len())?;
    loan.copy_from(data);
    loan.commit_as(sequence)?;
    Ok(())
}

fn expect_frame(reader: &mut Reader, data: &Data, sequence: u64) -> StepOutcome {
    let frame = reader.read(PATIENCE)?;
    let frame = frame.ok_or_else(|| Failure::new("expected a frame, found none"))?;
    expect_equal("sequence number read", sequence, frame.sequence())?;
    data.compare(&frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(test: &str) -> BufferName {
        BufferName::new(format!("serve-endurance-{test}-{}", std::process::id())).unwrap()
    }

    #[test]
    fn a_run_is_written_and_read_at_the_same_time() {
        let name = name("run");
        let reader = Reader::create(&name, &BufferConfig::new(0, 64 * 1024)).unwrap();
        let reading = Reading::start(ReadingEnd::new(reader), name.to_string()).unwrap();
        let mut writer = Writer::connect(&name, PATIENCE).unwrap();
        let mut run = Run::write(&mut writer, Duration::from_secs(2), name.as_str()).unwrap();
        run.expect_stable().unwrap();
        let read = reading.finish().unwrap();
        assert_eq!(read.frames, run.frames);
        assert_eq!(read.before.unwrap().names.len(), 4);
        assert!(
            run.summary().contains("frames in 2.0 s"),
            "{}",
            run.summary()
        );
        let before = run.held[0].descriptors;
        run.held.last_mut().unwrap().descriptors = before + 1;
        let failure = run.expect_steady_use().unwrap_err().to_string();
        assert!(failure.contains("descriptors"), "{failure}");
        run.pieces[3] = 0;
        assert!(run.expect_stable().is_err());
    }

    #[test]
    fn wrong_frames_end_the_reading() {
        let name = name("wrong");
        let reader = Reader::create(&name, &BufferConfig::new(0, 64 * 1024)).unwrap();
        let reading = Reading::start(ReadingEnd::new(reader), name.to_string()).unwrap();
        let mut writer = Writer::connect(&name, PATIENCE).unwrap();
        writer.write(Data::new().unwrap().of(2)).unwrap();
        let failure = reading.finish().unwrap_err().to_string();
        assert!(failure.contains("frame 1"), "{failure}");
    }

    #[test]
    fn sequence_numbers_go_on_across_the_boundaries() {
        for boundary in [1 << 16, 1 << 32, 1 << 63, 0] {
            cross_boundary(&name("boundary"), boundary).unwrap();
        }
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(seconds("2.5").unwrap(), Duration::from_millis(2500));
        for wrong in ["", "a", "-1", "0"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(scaled(0).unwrap(), Duration::ZERO);
    }
}
