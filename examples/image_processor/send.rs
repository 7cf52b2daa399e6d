//! The side that has a picture.

use std::path::{Path, PathBuf};
use std::time::Duration;

use image::{DynamicImage, ExtendedColorType, ImageFormat};
use zerobuffer::duplex::{ChannelName, DuplexError, RequestSender, Response, ResponseReceiver};

use crate::common::{self, Interruption, Result, Wait};
use crate::filter::Filter;
use crate::picture::{HEADER, Header};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The picture, a PNG file
    input: PathBuf,
    /// Where the filtered picture goes, as a PNG file
    output: PathBuf,
    /// What is done to the picture
    #[arg(long, value_enum, default_value_t = Filter::Edges)]
    filter: Filter,
    /// The channel's name
    #[arg(long, default_value = "zerobuffer-images")]
    name: String,
    /// How to wait for the answer
    #[arg(long, value_enum, default_value_t = Wait::Spin)]
    wait: Wait,
    /// Seconds to wait for the server, and for its answer
    #[arg(long, default_value = "10", value_parser = common::seconds)]
    timeout: Duration,
}

pub fn send(arguments: &Arguments) -> Result<()> {
    let interruption = Interruption::watch()?;
    let (header, pixels) = load(&arguments.input, arguments.filter)?;
    let name = ChannelName::new(&arguments.name)?;
    let client = common::connect(&name, arguments.wait, arguments.timeout, &interruption)?;
    let (mut sender, mut receiver) = client.split();
    interruption.ends_waits_of(&receiver);

    let sequence = request(&mut sender, header, &pixels)?;
    let response = answer(&mut receiver, sequence, arguments.timeout, &interruption)?;
    let mut picture = response.data.to_vec();
    let (answered, pixels) = Header::split(&mut picture)?;
    if answered != header {
        return Err(format!("the server answered {answered:?} to {header:?}").into());
    }
    save(&arguments.output, header, pixels)?;
    println!(
        "{} x {} pixels filtered into {}",
        header.width,
        header.height,
        arguments.output.display()
    );
    Ok(())
}

/// Writes header and pixels into the request buffer, where the server works on them.
fn request(sender: &mut RequestSender, header: Header, pixels: &[u8]) -> Result<u64> {
    let mut loan = sender.loan(HEADER + pixels.len())?;
    loan.copy_from(&header.to_bytes());
    loan.write_at(HEADER, pixels);
    Ok(loan.commit()?)
}

fn answer(
    receiver: &mut ResponseReceiver,
    sequence: u64,
    timeout: Duration,
    interruption: &Interruption,
) -> Result<Response> {
    if let Some(response) = receiver.receive(timeout)? {
        return Ok(response);
    }
    interruption.check()?;
    let no_answer = DuplexError::NoAnswer {
        channel: receiver.name().to_string(),
        sequence,
        waited: timeout,
    };
    Err(no_answer.into())
}

/// The pixels of a PNG file, with one byte a channel, whatever the file has.
fn load(path: &Path, filter: Filter) -> Result<(Header, Vec<u8>)> {
    let failed = |why: String| format!("cannot read {} as PNG: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let picture = image::load_from_memory_with_format(&bytes, ImageFormat::Png)
        .map_err(|error| failed(error.to_string()))?;
    let (width, height) = (picture.width(), picture.height());
    let (channels, pixels) = to_channels(picture);
    let header = Header {
        width,
        height,
        channels,
        filter,
    };
    Ok((header, pixels))
}

fn to_channels(picture: DynamicImage) -> (u32, Vec<u8>) {
    let kind = picture.color();
    match (kind.has_color(), kind.has_alpha()) {
        (false, false) => (1, picture.into_luma8().into_raw()),
        (false, true) => (2, picture.into_luma_alpha8().into_raw()),
        (true, false) => (3, picture.into_rgb8().into_raw()),
        (true, true) => (4, picture.into_rgba8().into_raw()),
    }
}

fn save(path: &Path, header: Header, pixels: &[u8]) -> Result<()> {
    let kind = match header.channels {
        1 => ExtendedColorType::L8,
        2 => ExtendedColorType::La8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    let (width, height) = (header.width, header.height);
    image::save_buffer_with_format(path, pixels, width, height, kind, ImageFormat::Png)
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
