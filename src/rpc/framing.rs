//! `Content-Length` frames, as the Language Server Protocol has them.
//!
//! A frame is a block of `Name: value` lines, an empty line, and as many bytes of body as the
//! `Content-Length` header says. Names are read in any case, other headers are ignored, and a bare
//! `\n` ends a line as well as `\r\n` does.
//!
//! A bad frame is an item of the stream, not its end: the decoder drops what it cannot read up to
//! the next `Content-Length:` and says so once, so one stray line costs one frame at most and no
//! memory.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// The longest body that is accepted, in bytes.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// The longest header block that is accepted, in bytes.
const MAX_HEADER: usize = 16 * 1024;

/// How much of unreadable input a [`BadFrame`] quotes, in bytes.
const QUOTE: usize = 120;

const LENGTH_HEADER: &[u8] = b"content-length:";

/// What the decoder yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The body of a frame.
    Body(Bytes),
    /// Something that is not a frame; decoding goes on behind it.
    Bad(BadFrame),
}

/// Why something on the stream is not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// A header block ended without a `Content-Length`.
    #[error("a header block without Content-Length")]
    NoLength,
    /// The `Content-Length` is not a number.
    #[error("Content-Length is not a number: {0:?}")]
    LengthNotANumber(String),
    /// The body would be longer than [`MAX_BODY`].
    #[error("Content-Length {0} is over the limit of {MAX_BODY} bytes")]
    TooLong(u64),
    /// A line that is not a header, quoted in part.
    #[error("expected a header line, found {0:?}")]
    NotAHeader(String),
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    CutOff,
}

#[derive(Debug, Default)]
enum State {
    /// Reading header lines.
    #[default]
    Header,
    /// Reading a body of so many bytes.
    Body(usize),
    /// Dropping bytes until the next `Content-Length:`.
    Lost,
}

/// Encodes and decodes frames; see the module's page.
#[derive(Debug, Default)]
pub struct FrameCodec {
    state: State,
    length: Option<usize>,
    header_bytes: usize,
}

impl FrameCodec {
    /// A codec at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    fn lose(&mut self, why: BadFrame) -> Option<Incoming> {
        *self = FrameCodec {
            state: State::Lost,
            ..Self::default()
        };
        Some(Incoming::Bad(why))
    }

    /// Takes one line out of `src`, or says that there is none yet.
    fn header_line(&mut self, src: &mut BytesMut) -> Option<BytesMut> {
        let end = src.iter().position(|byte| *byte == b'\n')?;
        let mut line = src.split_to(end + 1);
        self.header_bytes += line.len();
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        Some(line)
    }

    /// Reads one header line; a bad one is returned.
    fn header(&mut self, line: &[u8]) -> Result<(), BadFrame> {
        let split = line.iter().position(|byte| *byte == b':');
        let (name, value) = match split {
            Some(colon) if is_header_name(&line[..colon]) => (&line[..colon], &line[colon + 1..]),
            _ => return Err(BadFrame::NotAHeader(quote(line))),
        };
        if !name.eq_ignore_ascii_case(&LENGTH_HEADER[..LENGTH_HEADER.len() - 1]) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(value);
        let digits = text.trim();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadFrame::LengthNotANumber(quote(digits.as_bytes())));
        }
        match digits.parse::<u64>() {
            Ok(length) if length <= MAX_BODY as u64 => {
                self.length = Some(length as usize);
                Ok(())
            }
            Ok(length) => Err(BadFrame::TooLong(length)),
            Err(_) => Err(BadFrame::TooLong(u64::MAX)),
        }
    }

    /// Drops input up to the next `Content-Length:`; whether one was found.
    fn find_header(src: &mut BytesMut) -> bool {
        match find_length_header(src) {
            Some(start) => {
                src.advance(start);
                true
            }
            None => {
                let keep = src.len().min(LENGTH_HEADER.len() - 1);
                src.advance(src.len() - keep);
                false
            }
        }
    }
}

impl Decoder for FrameCodec {
    type Item = Incoming;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Incoming>> {
        loop {
            match self.state {
                State::Lost => {
                    if !Self::find_header(src) {
                        return Ok(None);
                    }
                    self.state = State::Header;
                }
                State::Body(length) => {
                    if src.len() < length {
                        src.reserve((length - src.len()).min(MAX_HEADER));
                        return Ok(None);
                    }
                    *self = Self::default();
                    return Ok(Some(Incoming::Body(src.split_to(length).freeze())));
                }
                State::Header => {
                    let Some(line) = self.header_line(src) else {
                        if self.header_bytes + src.len() > MAX_HEADER {
                            let line = quote(src);
                            return Ok(self.lose(BadFrame::NotAHeader(line)));
                        }
                        return Ok(None);
                    };
                    if line.is_empty() {
                        match self.length {
                            Some(length) => self.state = State::Body(length),
                            None => {
                                *self = Self::default();
                                return Ok(Some(Incoming::Bad(BadFrame::NoLength)));
                            }
                        }
                    } else if let Err(why) = self.header(&line) {
                        // A frame may begin in the same line, behind a body without a newline.
                        if matches!(why, BadFrame::NotAHeader(_))
                            && let Some(start) = find_length_header(&line)
                        {
                            let mut rest = BytesMut::from(&line[start..]);
                            rest.put_slice(b"\n");
                            rest.unsplit(src.split());
                            *src = rest;
                        }
                        return Ok(self.lose(why));
                    }
                }
            }
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> io::Result<Option<Incoming>> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        let lost = matches!(self.state, State::Lost);
        let partial = !src.is_empty() || self.header_bytes > 0;
        *self = Self::default();
        src.clear();
        Ok((partial && !lost).then_some(Incoming::Bad(BadFrame::CutOff)))
    }
}

impl Encoder<Vec<u8>> for FrameCodec {
    type Error = io::Error;

    fn encode(&mut self, body: Vec<u8>, dst: &mut BytesMut) -> io::Result<()> {
        let header = format!("Content-Length: {}\r\n\r\n", body.len());
        dst.reserve(header.len() + body.len());
        dst.put_slice(header.as_bytes());
        dst.put_slice(&body);
        Ok(())
    }
}

fn find_length_header(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(LENGTH_HEADER.len())
        .position(|w| w.eq_ignore_ascii_case(LENGTH_HEADER))
}

fn is_header_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

fn quote(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input`, handed over in pieces of `step` bytes, to its end.
    fn decode(input: &[u8], step: usize) -> Vec<Incoming> {
        let mut codec = FrameCodec::new();
        let mut buffer = BytesMut::new();
        let mut items = Vec::new();
        for piece in input.chunks(step) {
            buffer.put_slice(piece);
            while let Some(item) = codec.decode(&mut buffer).unwrap() {
                items.push(item);
            }
        }
        while let Some(item) = codec.decode_eof(&mut buffer).unwrap() {
            items.push(item);
        }
        items
    }

    fn body(text: &str) -> Incoming {
        Incoming::Body(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn frame(text: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{text}", text.len())
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let input = format!(
            "{}content-length:2\nX-Other: y\n\nhi{}{}",
            frame("{}"),
            frame(""),
            frame("\u{e9}")
        );
        for step in [1, 2, 3, 7, 1000] {
            let expected = vec![body("{}"), body("hi"), body(""), body("\u{e9}")];
            assert_eq!(
                decode(input.as_bytes(), step),
                expected,
                "in pieces of {step}"
            );
        }
    }

    #[test]
    fn what_is_not_a_frame_costs_no_later_frame() {
        let bad: [(&str, BadFrame); 6] = [
            ("X-Other: 1\r\n\r\n", BadFrame::NoLength),
            ("hello\r\n", BadFrame::NotAHeader("hello".into())),
            (
                "Content-Length: -5\r\n\r\n",
                BadFrame::LengthNotANumber("-5".into()),
            ),
            (
                "Content-Length: 99999999999\r\n\r\n",
                BadFrame::TooLong(99_999_999_999),
            ),
            (
                "Content-Length: 99999999999999999999999\r\n\r\nabc\ndef",
                BadFrame::TooLong(u64::MAX),
            ),
            (
                "{\"cut\": 1}\n\n more\n",
                BadFrame::NotAHeader("{\"cut\": 1}".into()),
            ),
        ];
        for (text, why) in bad {
            let input = format!("{}{text}{}", frame("a"), frame("b"));
            for step in [1, 5, 1000] {
                let expected = vec![body("a"), Incoming::Bad(why.clone()), body("b")];
                assert_eq!(
                    decode(input.as_bytes(), step),
                    expected,
                    "{text:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn a_frame_behind_a_body_without_newline_is_found() {
        let input = format!("{{\"stray\":1}}{}", frame("b"));
        let items = decode(input.as_bytes(), 1000);
        assert!(
            matches!(items[0], Incoming::Bad(BadFrame::NotAHeader(_))),
            "{items:?}"
        );
        assert_eq!(items[1..], [body("b")]);
    }

    #[test]
    fn an_endless_line_is_dropped_as_it_comes() {
        let mut codec = FrameCodec::new();
        let mut buffer = BytesMut::new();
        let mut bad = 0;
        for _ in 0..1000 {
            buffer.put_slice(&[b'x'; 4096]);
            while let Some(item) = codec.decode(&mut buffer).unwrap() {
                assert!(matches!(item, Incoming::Bad(_)));
                bad += 1;
            }
            assert!(
                buffer.len() <= MAX_HEADER + 4096,
                "{} bytes kept",
                buffer.len()
            );
        }
        assert_eq!(bad, 1);
        buffer.put_slice(frame("b").as_bytes());
        assert_eq!(codec.decode(&mut buffer).unwrap(), Some(body("b")));
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_is_cut_off() {
        for input in [
            "Content-Le",
            "Content-Length: 5\r\n",
            "Content-Length: 5\r\n\r\nabc",
        ] {
            assert_eq!(
                decode(input.as_bytes(), 4),
                [Incoming::Bad(BadFrame::CutOff)],
                "{input}"
            );
        }
        assert_eq!(decode(b"", 1), []);
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let mut bytes = BytesMut::new();
        FrameCodec::new()
            .encode(b"{\"a\":1}".to_vec(), &mut bytes)
            .unwrap();
        assert_eq!(decode(&bytes, 3), [body("{\"a\":1}")]);
    }
}
