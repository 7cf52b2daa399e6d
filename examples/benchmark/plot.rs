//! What was measured, as a picture: round trips and bytes a second over the size of frames, both
//! axes logarithmic.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::contender::{ALL, Contender, Kind};
use crate::goal::{OURS, ROUND_TRIPS};
use crate::results::Results;
use crate::table::{bytes, short};

const WIDTH: f64 = 1370.0;
const HEIGHT: f64 = 640.0;

/// Least distance between the middles of two labels.
const LABEL: f64 = 15.0;

/// Who is drawn, and in which colour; told apart without colours by their labels.
const DRAWN: &[(&str, &str)] = &[
    ("zerobuffer/spin/copy", "#0072b2"),
    ("zerobuffer/busy/copy", "#2ba8e8"),
    ("zerobuffer/block/copy", "#009e73"),
    ("iceoryx2/copy", "#cc79a7"),
    ("unix-socket", "#d55e00"),
    ("pipe", "#e69f00"),
    ("cpp", "#000000"),
    ("python", "#882255"),
    ("limit/cache-line", GREY),
    ("limit/semaphore", GREY),
    ("limit/memcpy", GREY),
];

const GREY: &str = "#777777";

/// Writes the picture.
pub fn write(path: &Path, results: &Results) -> Result<()> {
    Ok(fs::write(path, draw(results)?)?)
}

fn draw(results: &Results) -> Result<String> {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let sizes = results.sizes();
    let round_trips = lines(|name, size| results.round_trip(name, size, 0.5), &sizes);
    let one_way = lines(
        |name, size| Some(results.frames_per_second(name, size)? * size as f64 / 1e9),
        &sizes,
    );
    let targets: Vec<_> = ROUND_TRIPS
        .iter()
        .filter(|target| sizes.contains(&target.0))
        .map(|&(size, target)| (size as f64, target))
        .collect();
    let panels = [
        (
            "Round trip, median, in µs: lower is better",
            70.0,
            round_trips,
            targets,
        ),
        (
            "One way, in GB a second: higher is better",
            740.0,
            one_way,
            Vec::new(),
        ),
    ];
    for (title, left, lines, targets) in panels {
        if let Some(panel) = Panel::around(left, &sizes, &lines, &targets) {
            panel.draw_axes(&mut svg, title, &sizes)?;
            panel.draw_lines(&mut svg, &lines)?;
            panel.draw_targets(&mut svg, &targets)?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// What was measured of a contender, as sizes and figures.
struct Line {
    contender: &'static Contender,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

fn lines(figure: impl Fn(&str, usize) -> Option<f64>, sizes: &[usize]) -> Vec<Line> {
    let mut lines = Vec::new();
    for &(name, colour) in DRAWN {
        let Some(contender) = ALL.iter().find(|contender| contender.name == name) else {
            continue;
        };
        let points: Vec<_> = sizes
            .iter()
            .filter_map(|&size| Some((size as f64, figure(name, size)?)))
            .collect();
        if !points.is_empty() {
            lines.push(Line {
                contender,
                colour,
                points,
            });
        }
    }
    lines
}

/// A range of figures on a logarithmic axis, from one power of ten to another.
struct Axis {
    least: f64,
    most: f64,
}

impl Axis {
    /// Whole decades around `figures`, if there are any.
    fn around(figures: impl Iterator<Item = f64> + Clone) -> Option<Axis> {
        let least = figures.clone().min_by(f64::total_cmp)?;
        let most = figures.max_by(f64::total_cmp)?;
        Some(Axis {
            least: 10_f64.powf(least.log10().floor()),
            most: 10_f64.powf((most * 1.001).log10().ceil()),
        })
    }

    /// Where a figure is, from 0 to 1.
    fn place(&self, figure: f64) -> f64 {
        (figure / self.least).log10() / (self.most / self.least).log10()
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        let (least, most) = (self.least, self.most * 1.001);
        std::iter::successors(Some(least), |decade| Some(decade * 10.0))
            .take_while(move |decade| *decade <= most)
    }
}

/// One of the two diagrams.
struct Panel {
    left: f64,
    across: Axis,
    up: Axis,
}

impl Panel {
    const TOP: f64 = 70.0;
    const WIDTH: f64 = 400.0;
    const HEIGHT: f64 = 480.0;

    fn around(left: f64, sizes: &[usize], lines: &[Line], targets: &[(f64, f64)]) -> Option<Panel> {
        let points = lines.iter().flat_map(|line| &line.points).chain(targets);
        let figures = points.map(|point| point.1);
        let (least, most) = (*sizes.first()? as f64, *sizes.last()? as f64);
        Some(Panel {
            left,
            // Some room on both sides, also for a single size.
            across: Axis {
                least: least / 2.0,
                most: most * 2.0,
            },
            up: Axis::around(figures)?,
        })
    }

    fn x(&self, size: f64) -> f64 {
        self.left + Self::WIDTH * self.across.place(size)
    }

    fn y(&self, figure: f64) -> f64 {
        Self::TOP + Self::HEIGHT * (1.0 - self.up.place(figure))
    }

    fn right(&self) -> f64 {
        self.left + Self::WIDTH
    }

    fn draw_axes(&self, svg: &mut String, title: &str, sizes: &[usize]) -> Result<()> {
        let (left, right) = (self.left, self.right());
        let bottom = Self::TOP + Self::HEIGHT;
        writeln!(
            svg,
            "<text x=\"{left}\" y=\"40\" font-size=\"17\" font-weight=\"bold\">{title}</text>"
        )?;
        for decade in self.up.decades() {
            let y = self.y(decade);
            writeln!(
                svg,
                "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" \
                 stroke=\"#dddddd\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + 4.5,
                decade_label(decade),
            )?;
        }
        let mut last = f64::MIN;
        for &size in sizes {
            let x = self.x(size as f64);
            // Below the label before it, where there is no room beside that.
            let down = if x - last < 45.0 { 36.0 } else { 20.0 };
            last = x;
            writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\" \
                 stroke=\"#eeeeee\"/>\n\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                Self::TOP,
                bottom + down,
                size_label(size),
            )?;
        }
        writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" \
             stroke=\"#555555\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">bytes in a frame</text>",
            Self::TOP,
            Self::WIDTH,
            Self::HEIGHT,
            (left + right) / 2.0,
            bottom + 54.0,
        )?;
        Ok(())
    }

    fn draw_lines(&self, svg: &mut String, lines: &[Line]) -> Result<()> {
        for line in lines {
            self.draw_line(svg, line)?;
        }
        let ends: Vec<_> = lines.iter().map(|line| self.y(line.last())).collect();
        for (line, y) in lines.iter().zip(spread(&ends)) {
            let (end, label) = (self.y(line.last()), self.right() + 26.0);
            writeln!(
                svg,
                "<line x1=\"{}\" y1=\"{end:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"{}\" \
                 stroke-width=\"0.7\"/>\n\
                 <text x=\"{label}\" y=\"{:.1}\" fill=\"{}\">{} {}</text>",
                self.right(),
                label - 4.0,
                line.colour,
                y + 4.5,
                line.colour,
                line.contender.name,
                short(line.last()),
            )?;
        }
        Ok(())
    }

    fn draw_line(&self, svg: &mut String, line: &Line) -> Result<()> {
        let mut points: Vec<_> = line
            .points
            .iter()
            .map(|&(size, figure)| (self.x(size), self.y(figure)))
            .collect();
        let is_limit = line.contender.name.starts_with("limit/");
        if line.contender.kind == Kind::Bare {
            points.insert(0, (self.left, self.y(line.last())));
        }
        points.push((self.right(), self.y(line.last())));
        let path: String = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1} "))
            .collect();
        let (width, dashes) = match line.contender.name {
            OURS => (3.0, "none"),
            _ if is_limit => (1.2, "5 4"),
            _ => (1.7, "none"),
        };
        let colour = line.colour;
        writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\"/>"
        )?;
        for &(size, figure) in line.points.iter().filter(|_| !is_limit) {
            let (x, y) = (self.x(size), self.y(figure));
            writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
            )?;
        }
        Ok(())
    }

    fn draw_targets(&self, svg: &mut String, targets: &[(f64, f64)]) -> Result<()> {
        let mut mark = |x: f64, y: f64| {
            writeln!(
                svg,
                "<path d=\"M {:.1} {:.1} h 14 l -7 11 z\" fill=\"white\" stroke=\"{}\" \
                 stroke-width=\"1.6\"/>",
                x - 7.0,
                y - 11.0,
                DRAWN[0].1,
            )
        };
        for &(size, target) in targets {
            mark(self.x(size), self.y(target))?;
        }
        if !targets.is_empty() {
            let y = Self::TOP + Self::HEIGHT + 80.0;
            mark(self.left + 7.0, y)?;
            writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\">to be reached by {OURS}</text>",
                self.left + 22.0
            )?;
        }
        Ok(())
    }
}

impl Line {
    /// The figure of the largest size; no line is without points.
    fn last(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.1)
    }
}

/// Moves labels apart that are in each other's way, in the order that they have.
fn spread(wanted: &[f64]) -> Vec<f64> {
    let mut order: Vec<_> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut places = wanted.to_vec();
    // Downwards, and those that are beyond the lower end back up.
    let mut least = f64::MIN;
    for &index in &order {
        places[index] = places[index].max(least);
        least = places[index] + LABEL;
    }
    let mut most = Panel::TOP + Panel::HEIGHT;
    for &index in order.iter().rev() {
        places[index] = places[index].min(most);
        most = places[index] - LABEL;
    }
    places
}

fn decade_label(decade: f64) -> String {
    match decade {
        decade if decade > 0.9 => format!("{decade:.0}"),
        decade => format!("{decade:.*}", -decade.log10().round() as usize),
    }
}

fn size_label(size: usize) -> String {
    match size {
        3_110_400 => "1080p".to_owned(),
        size => bytes(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_cover_each_other() {
        let bottom = Panel::TOP + Panel::HEIGHT;
        let wanted = [300.0, 301.0, 100.0, 299.0, bottom, bottom - 1.0];
        let places = spread(&wanted);
        assert_eq!(places[2], 100.0, "there was room");
        let mut sorted = places.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(
            sorted.windows(2).all(|pair| pair[1] - pair[0] >= LABEL),
            "{places:?}"
        );
        assert!(sorted.iter().all(|place| *place <= bottom), "{places:?}");
        assert!(places[3] < places[0] && places[0] < places[1], "{places:?}");
    }
}
