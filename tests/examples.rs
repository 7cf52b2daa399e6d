//! The examples, run as a reader of them would.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use image::{DynamicImage, GenericImageView, GrayAlphaImage, ImageBuffer, Rgb, RgbImage, Rgba};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{LONG, leftovers, unique};

/// An example's executable: cargo puts it beside the folder of the test programs.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not there: `cargo test` makes it, `cargo test --test examples` alone does not; run \
         `cargo build --examples` with the same options first",
        path.display()
    );
    path
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(example(name));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(name: &str, arguments: &[&str]) -> Output {
    command(name, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a run that went well has printed.
fn success(output: &Output) -> String {
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(errors, "");
    text(&output.stdout)
}

/// A server that runs beside the test.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server and waits until it serves.
    fn start(name: &str, arguments: &[&str]) -> Server {
        let mut process = command(name, arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with("serving channel"), "{line:?}");
        Server { process, output }
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).unwrap();
    }

    /// Waits for the end; what it has printed.
    fn finish(mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = wait(&mut self.process);
        assert!(status.success(), "{status}");
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait(process: &mut Child) -> std::process::ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < LONG, "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn nothing_left(name: &str) {
    assert_eq!(leftovers(name), Vec::<PathBuf>::new());
}

#[test]
fn each_explains_itself() {
    for (name, arguments, word) in [
        ("echo_server", vec!["--help"], "--payload"),
        ("echo_client", vec!["--help"], "--pipelined"),
        ("image_processor", vec!["--help"], "serve"),
        ("image_processor", vec!["serve", "--help"], "--payload"),
        ("image_processor", vec!["send", "--help"], "--filter"),
    ] {
        let help = success(&run(name, &arguments));
        assert!(help.contains(word), "{name} {arguments:?}: {help}");
    }
}

#[test]
fn an_echo_client_verifies_what_an_echo_server_answers() {
    let name = unique("example-echo");
    let server = Server::start(
        "echo_server",
        &["--name", &name, "--payload", "64K", "--count", "900"],
    );
    for (count, size, verified, more) in [
        ("200", "1", "200 answers of 1 bytes verified", vec![]),
        (
            "200",
            "20K",
            "200 answers of 20480 bytes verified",
            vec!["--wait", "block"],
        ),
        (
            "500",
            "3000",
            "500 answers of 3000 bytes verified",
            vec!["--pipelined"],
        ),
    ] {
        let mut arguments = vec!["--name", &name, "--count", count, "--size", size];
        arguments.extend(more);
        let output = success(&run("echo_client", &arguments));
        assert!(output.starts_with(verified), "{output}");
    }
    let output = server.finish();
    assert!(output.ends_with("900 requests\n"), "{output}");
    assert_eq!(output.matches("client: echo_client").count(), 3, "{output}");
    nothing_left(&name);
}

#[test]
fn an_echo_client_is_not_content_with_other_answers() {
    use zerobuffer::duplex::{ChannelName, ImmutableDuplexServer, Reply, ServerOptions};
    let name = unique("example-liar");
    let channel = ChannelName::new(&name).unwrap();
    let liar = ImmutableDuplexServer::start(&channel, ServerOptions::default(), |request| {
        let mut data = request.to_vec();
        if request.sequence() == 7 {
            data[63] ^= 1;
        }
        Ok(Reply::bytes(data))
    })
    .unwrap();
    for mode in [&["--name", &name][..], &["--name", &name, "--pipelined"]] {
        let output = run("echo_client", mode);
        assert_eq!(output.status.code(), Some(1));
        let errors = text(&output.stderr);
        assert!(
            errors.contains("request 7 is not what was sent"),
            "{errors}"
        );
    }
    liar.stop();
    nothing_left(&name);
}

#[test]
fn errors_say_what_to_do() {
    let name = unique("example-errors");
    let at_once = ["--name", &name, "--timeout", "0"];
    let output = run("echo_client", &at_once);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("does not exist"), "{errors}");
    assert!(errors.contains("start the server first"), "{errors}");

    let server = Server::start("echo_server", &["--name", &name, "--payload", "4K"]);
    let output = run("echo_server", &["--name", &name]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("choose another name"), "{errors}");

    let output = run(
        "echo_client",
        &["--name", &name, "--size", "1M", "--pipelined"],
    );
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("larger --payload"), "{errors}");

    let output = run("echo_client", &["--size", "much"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("16M"));
    server.send(Signal::SIGINT);
    assert_eq!(server.finish().lines().last(), Some("0 requests"));
    nothing_left(&name);
}

#[test]
fn ctrl_c_cleans_up() {
    let name = unique("example-ctrl-c");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let server = Server::start("echo_server", &["--name", &name]);
        for mode in [&["--wait", "block"][..], &["--pipelined"]] {
            let mut client = command("echo_client", &["--name", &name, "--count", "1000000000"])
                .args(mode)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // It is at work when its response buffer is there.
            support::wait_until("the client is connected", || {
                !leftovers(&format!("{name}_response")).is_empty()
            });
            kill(Pid::from_raw(client.id() as i32), signal).unwrap();
            assert_eq!(wait(&mut client).code(), Some(130));
            let mut errors = String::new();
            let mut stderr = client.stderr.take().unwrap();
            stderr.read_to_string(&mut errors).unwrap();
            assert_eq!(errors, "echo_client: interrupted\n");
            nothing_left(&format!("{name}_response"));
        }
        server.send(signal);
        server.finish();
        nothing_left(&name);
    }
}

#[test]
fn a_server_without_room_for_metadata_and_one_that_is_to_serve_nobody_will_do() {
    let name = unique("example-bare");
    let bare = ["--name", &name, "--metadata", "0", "--count", "3"];
    let server = Server::start("echo_server", &bare);
    let output = success(&run("echo_client", &["--name", &name, "--count", "3"]));
    assert!(output.starts_with("3 answers"), "{output}");
    server.finish();
    let nobody = Server::start("echo_server", &["--name", &name, "--count", "0"]);
    assert_eq!(nobody.finish(), "0 requests\n");
    nothing_left(&name);
}

#[test]
fn a_server_that_is_to_outlive_its_terminal_does() {
    let name = unique("example-nohup");
    let mut process = Command::new("nohup")
        .arg(example("echo_server"))
        .args(["--name", &name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("serving channel"), "{line:?}");
    let server = Server { process, output };
    server.send(Signal::SIGHUP);
    success(&run("echo_client", &["--name", &name, "--count", "3"]));
    server.send(Signal::SIGTERM);
    server.finish();
    nothing_left(&name);
}

#[test]
fn ctrl_c_ends_a_wait_that_nothing_else_ends() {
    let name = unique("example-wait");
    let start = || {
        command("echo_client", &["--name", &name, "--timeout", "600"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let interrupt = |mut client: Child| {
        kill(Pid::from_raw(client.id() as i32), Signal::SIGINT).unwrap();
        assert_eq!(wait(&mut client).code(), Some(130));
    };

    let connecting = start();
    // SIGINT and SIGTERM, which it waits for.
    let status = format!("/proc/{}/status", connecting.id());
    support::wait_until("the client catches Ctrl-C", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let blocked = u64::from_str_radix(blocked.unwrap().trim(), 16).unwrap();
        // Signal 1 is the lowest bit. Others may have been blocked by whoever runs the tests.
        blocked & 0x4002 == 0x4002
    });
    interrupt(connecting);

    let request_buffer = zerobuffer::BufferName::new(format!("{name}_request")).unwrap();
    let config = zerobuffer::BufferConfig::new(64, 4096);
    let mut requests = zerobuffer::Reader::create(&request_buffer, &config).unwrap();
    let waiting = start();
    let request = requests.read(LONG).unwrap();
    assert!(request.is_some(), "no request in time");
    interrupt(waiting);
    drop((request, requests));
    nothing_left(&name);
}

/// Pictures with every kind of pixel that PNG has, of sizes where rows have no round number of
/// bytes.
fn pictures() -> Vec<DynamicImage> {
    let noise = |x: u32, y: u32, salt: u32| {
        let mixed = (x * 7919 + y * 104_729 + salt * 1299).wrapping_mul(2_654_435_761);
        (mixed >> 24) as u8
    };
    let disc = |x: u32, y: u32| {
        let (x, y) = (i64::from(x) - 40, i64::from(y) - 25);
        if x * x + y * y < 400 {
            230
        } else {
            (x + 60) as u8
        }
    };
    vec![
        DynamicImage::ImageRgb8(RgbImage::from_fn(97, 53, |x, y| {
            Rgb([disc(x, y), noise(x, y, 1), (y * 4) as u8])
        })),
        DynamicImage::ImageRgba8(ImageBuffer::from_fn(64, 31, |x, y| {
            Rgba([noise(x, y, 2), disc(x, y), (x * 3) as u8, noise(x, y, 3)])
        })),
        DynamicImage::ImageLuma8(ImageBuffer::from_fn(33, 70, |x, y| [disc(x, y)].into())),
        DynamicImage::ImageLumaA8(GrayAlphaImage::from_fn(5, 4, |x, y| {
            [noise(x, y, 4), noise(x, y, 5)].into()
        })),
        DynamicImage::ImageRgb8(RgbImage::from_pixel(1, 1, Rgb([1, 200, 77]))),
        // Two bytes a channel: the example makes one of them.
        DynamicImage::ImageRgb16(ImageBuffer::from_fn(20, 20, |x, y| {
            Rgb([(x * 3000) as u16, (y * 3000) as u16, 257 * 9])
        })),
    ]
}

fn has_colour(picture: &DynamicImage) -> bool {
    picture.color().has_color()
}

/// One value of a pixel: red, green, blue or alpha.
fn value(picture: &DynamicImage, x: u32, y: u32, channel: usize) -> u8 {
    picture.get_pixel(x, y)[channel]
}

fn inverted(picture: &DynamicImage, x: u32, y: u32, channel: usize) -> u8 {
    255 - value(picture, x, y, channel)
}

fn grey(picture: &DynamicImage, x: u32, y: u32, channel: usize) -> u8 {
    if !has_colour(picture) {
        return value(picture, x, y, channel);
    }
    let weights = [0.299, 0.587, 0.114];
    let brightness: f64 = (0..3)
        .map(|channel| weights[channel] * f64::from(value(picture, x, y, channel)))
        .sum();
    // Products of whole numbers and thousandths: what is half a step is so exactly.
    ((brightness * 1000.0).round() / 1000.0).round() as u8
}

fn edge(picture: &DynamicImage, x: u32, y: u32, channel: usize) -> u8 {
    // How far away a neighbour is, and how much it counts.
    const STEPS: [(i64, i64); 3] = [(-1, 1), (0, 2), (1, 1)];
    let (width, height) = (picture.width().into(), picture.height().into());
    let inside = |at: u32, step: i64, size: i64| (i64::from(at) + step).clamp(0, size - 1) as u32;
    let (mut across, mut down) = (0, 0);
    for (right, weight_across) in STEPS {
        for (below, weight_down) in STEPS {
            let (near_x, near_y) = (inside(x, right, width), inside(y, below, height));
            let near = i64::from(value(picture, near_x, near_y, channel));
            across += right * weight_down * near;
            down += below * weight_across * near;
        }
    }
    (across.abs() + down.abs()).min(255) as u8
}

type Expected = fn(&DynamicImage, u32, u32, usize) -> u8;

#[test]
fn pictures_come_back_filtered() {
    let name = unique("example-images");
    let folder = tempfile::tempdir().unwrap();
    let filters: [(&str, Expected); 3] =
        [("invert", inverted), ("greyscale", grey), ("edges", edge)];
    let pictures = pictures();
    let count = (filters.len() * pictures.len()).to_string();
    let server = Server::start(
        "image_processor",
        &["serve", "--name", &name, "--count", &count],
    );
    for (number, picture) in pictures.iter().enumerate() {
        let input = folder.path().join(format!("{number}.png"));
        picture.save(&input).unwrap();
        // What the file holds, with one byte a channel.
        let original = match picture {
            DynamicImage::ImageRgb16(_) => DynamicImage::ImageRgb8(picture.to_rgb8()),
            other => other.clone(),
        };
        for (filter, expected) in filters {
            let output = folder.path().join(format!("{number}-{filter}.png"));
            let (from, to) = (input.to_str().unwrap(), output.to_str().unwrap());
            let arguments = ["send", from, to, "--name", &name, "--filter", filter];
            let printed = success(&run("image_processor", &arguments));
            let (width, height) = original.dimensions();
            assert!(
                printed.starts_with(&format!("{width} x {height} pixels")),
                "{printed}"
            );

            let filtered = image::open(&output).unwrap();
            assert_eq!(filtered.color(), original.color());
            assert_eq!(filtered.dimensions(), (width, height));
            for (x, y, pixel) in filtered.pixels() {
                for channel in 0..3 {
                    let expected = expected(&original, x, y, channel);
                    assert_eq!(
                        pixel[channel], expected,
                        "{filter} {number}: {x}, {y}, {channel}"
                    );
                }
                assert_eq!(pixel[3], value(&original, x, y, 3), "alpha stays");
            }
        }
    }
    assert_eq!(server.finish(), format!("{count} pictures\n"));
    nothing_left(&name);
}

#[test]
fn a_picture_that_is_none_is_refused_on_either_side() {
    use zerobuffer::duplex::{ChannelName, ClientOptions, DuplexClient, DuplexError};
    let name = unique("example-no-image");
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("no.png");
    std::fs::write(&input, "not a picture").unwrap();
    let (from, to) = (input.to_str().unwrap(), folder.path().join("out.png"));
    let to = to.to_str().unwrap();
    let output = run("image_processor", &["send", from, to, "--name", &name]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("cannot read") && errors.contains("no.png"),
        "{errors}"
    );
    assert!(!Path::new(to).exists());

    let mut process = command("image_processor", &["serve", "--name", &name])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let channel = ChannelName::new(&name).unwrap();
    let mut client = DuplexClient::connect(&channel, ClientOptions::default()).unwrap();
    // Width, height, channels, filter, and what follows them.
    let wrong = [
        (vec![], 3),
        (vec![2, 2, 3, 0], 13),
        (vec![2, 2, 5, 0], 20),
        (vec![0, 2, 3, 0], 0),
        (vec![2, 2, 3, 9], 12),
        (vec![u32::MAX, u32::MAX, 4, 0], 4),
    ];
    for (fields, pixels) in &wrong {
        let mut picture: Vec<u8> = fields
            .iter()
            .flat_map(|field: &u32| field.to_le_bytes())
            .collect();
        picture.resize(picture.len() + pixels, 7);
        client.send(&picture).unwrap();
    }
    let mut right: Vec<u8> = [2_u32, 1, 1, 0]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    right.extend([0, 250]);
    client.send(&right).unwrap();
    for sequence in 1..=wrong.len() as u64 {
        let error = client.receive(LONG).unwrap_err();
        let DuplexError::HandlerFailed {
            sequence: failed, ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(failed, sequence);
    }
    let response = client.receive(LONG).unwrap().unwrap();
    assert_eq!(response.data.to_vec()[16..], [255, 5]);
    drop((response, client));
    kill(Pid::from_raw(process.id() as i32), Signal::SIGINT).unwrap();
    assert!(wait(&mut process).success());
    let mut errors = String::new();
    process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(errors.lines().count(), wrong.len(), "{errors}");
    assert!(errors.contains("2 x 2 pixels of 5 channels"), "{errors}");
    nothing_left(&name);
}
