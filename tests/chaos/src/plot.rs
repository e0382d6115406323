//! Curves over time as SVG: a few panels under each other with one axis of time.

use std::fmt::Write;

/// Pixels.
const WIDTH: f64 = 960.0;
const PANEL_HEIGHT: f64 = 150.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 46.0;
const BETWEEN: f64 = 34.0;
/// Below the last panel: its legend, then the times.
const BOTTOM: f64 = 40.0;
/// Colours that people with any kind of sight can tell apart.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What it shows.
    pub name: String,
    /// Seconds and values, in the order of time.
    pub points: Vec<(f64, f64)>,
}

/// Curves with one axis.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What its axis counts, with the unit.
    pub axis: String,
    /// Its curves.
    pub curves: Vec<Curve>,
}

/// A time that is named above all panels.
#[derive(Clone, Debug)]
pub struct Span {
    /// From this second.
    pub from: f64,
    /// To this one.
    pub to: f64,
    /// What it was.
    pub name: String,
    /// Whether it is shaded through all panels; else only its begin is marked.
    pub shaded: bool,
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// The panels, from the top.
    pub panels: Vec<Panel>,
    /// What is named, in the order of time.
    pub spans: Vec<Span>,
}

impl Plot {
    /// The picture as SVG.
    pub fn svg(&self) -> String {
        let panels = self.panels.len() as f64;
        let bottom = TOP + panels * (PANEL_HEIGHT + BETWEEN) - BETWEEN;
        let height = bottom + BOTTOM;
        let points = self
            .panels
            .iter()
            .flat_map(|p| &p.curves)
            .flat_map(|c| &c.points);
        let ends = points
            .map(|(t, _)| *t)
            .chain(self.spans.iter().map(|s| s.to));
        let end = ends.fold(1.0, f64::max);
        let x = |t: f64| LEFT + t / end * (WIDTH - LEFT - RIGHT);
        let mut svg = String::new();
        let mut put = |line: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(svg, "{line}");
        };
        put(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">"#
        ));
        put(r#"<rect width="100%" height="100%" fill="white"/>"#.to_owned());
        put(text(LEFT, 18.0, 15, "start", &self.title));
        for span in &self.spans {
            let (from, width) = (x(span.from), x(span.to) - x(span.from));
            let height = bottom - TOP;
            put(match span.shaded {
                true => format!(
                    r##"<rect x="{from:.1}" y="{TOP}" width="{width:.1}" height="{height:.1}" fill="#f3d9cf"/>"##
                ),
                false => format!(
                    r##"<line x1="{from:.1}" y1="{TOP}" x2="{from:.1}" y2="{bottom}" stroke="#999" stroke-dasharray="3 3"/>"##
                ),
            });
            put(match from + 3.0 + letters(&span.name) <= WIDTH {
                true => text(from + 3.0, TOP - 5.0, 11, "start", &span.name),
                // What begins late would end outside.
                false => text(WIDTH - 3.0, TOP - 5.0, 11, "end", &span.name),
            });
        }
        for (number, panel) in self.panels.iter().enumerate() {
            let top = TOP + number as f64 * (PANEL_HEIGHT + BETWEEN);
            panel.draw(top, x, &mut put);
        }
        let step = nice(end / 10.0);
        let mut t = 0.0;
        while t <= end {
            put(text(x(t), bottom + 32.0, 11, "middle", &format!("{t} s")));
            t += step;
        }
        put("</svg>".to_owned());
        svg
    }
}

impl Panel {
    fn draw(&self, top: f64, x: impl Fn(f64) -> f64, put: &mut impl FnMut(String)) {
        let values = self.curves.iter().flat_map(|c| &c.points).map(|(_, v)| *v);
        let step = nice(values.fold(0.0, f64::max).max(1.0) / 4.0);
        let steps = (self.most() / step).ceil().max(1.0);
        let most = step * steps;
        let y = |v: f64| top + PANEL_HEIGHT * (1.0 - v / most);
        let right = WIDTH - RIGHT;
        let mut v = 0.0;
        while v <= most + step / 2.0 {
            let at = y(v);
            put(format!(
                r##"<line x1="{LEFT}" y1="{at:.1}" x2="{right}" y2="{at:.1}" stroke="#ddd"/>"##
            ));
            put(text(LEFT - 6.0, at + 4.0, 11, "end", &format!("{v}")));
            v += step;
        }
        let mut legend = LEFT;
        put(text(
            legend,
            top + PANEL_HEIGHT + 30.0 - 16.0,
            11,
            "start",
            &self.axis,
        ));
        legend += 8.0 + letters(&self.axis);
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            let points = curve.points.iter();
            let points: Vec<String> = points
                .map(|(t, v)| format!("{:.1},{:.1}", x(*t), y(*v)))
                .collect();
            put(format!(
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#,
                points.join(" ")
            ));
            let at = top + PANEL_HEIGHT + 10.0;
            put(format!(
                r#"<rect x="{legend:.1}" y="{at:.1}" width="12" height="3" fill="{colour}"/>"#
            ));
            put(text(legend + 16.0, at + 4.0, 11, "start", &curve.name));
            legend += 34.0 + letters(&curve.name);
        }
    }

    fn most(&self) -> f64 {
        let values = self.curves.iter().flat_map(|c| &c.points).map(|(_, v)| *v);
        values.fold(0.0, f64::max).max(1.0)
    }
}

/// The next of 1, 2 and 5 times a power of ten that is not below `least`.
fn nice(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let fits = factors.iter().find(|factor| **factor * power >= least);
    fits.copied().unwrap_or(10.0) * power
}

/// About how wide words in small letters are.
fn letters(words: &str) -> f64 {
    6.5 * words.chars().count() as f64
}

fn text(x: f64, y: f64, size: u32, anchor: &str, words: &str) -> String {
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}">{words}</text>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_drawn_within_the_picture() {
        let plot = Plot {
            title: "a < b & c".to_owned(),
            panels: vec![Panel {
                axis: "ms".to_owned(),
                curves: vec![Curve {
                    name: "p50".to_owned(),
                    points: vec![(0.0, 0.0), (10.0, 37.0)],
                }],
            }],
            spans: vec![Span {
                from: 2.0,
                to: 5.0,
                name: "outage".to_owned(),
                shaded: true,
            }],
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b &amp; c"), "{svg}");
        let begin = svg.split("points=\"").nth(1).unwrap();
        let points: Vec<f64> = begin
            .split('"')
            .next()
            .unwrap()
            .split([' ', ','])
            .map(|number| number.parse().unwrap())
            .collect();
        let [x1, y1, x2, y2] = points[..] else {
            panic!("{points:?}")
        };
        assert!(LEFT <= x1 && x2 <= WIDTH - RIGHT, "{points:?}");
        assert!(
            TOP <= y2 && y2 < y1 && y1 <= TOP + PANEL_HEIGHT,
            "{points:?}"
        );
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn the_name_of_a_span_that_begins_late_ends_within_the_picture() {
        let span = |from, to, name: &str| Span {
            from,
            to,
            name: name.to_owned(),
            shaded: false,
        };
        let plot = Plot {
            title: String::new(),
            panels: Vec::new(),
            spans: vec![
                span(0.0, 9.9, "early"),
                span(9.9, 10.0, "nothing waits any longer"),
            ],
        };
        let svg = plot.svg();
        let anchored = |anchor: &str, name: &str| {
            let end = format!(r#"text-anchor="{anchor}">{name}</text>"#);
            svg.contains(&end)
        };
        assert!(anchored("start", "early"), "{svg}");
        assert!(anchored("end", "nothing waits any longer"), "{svg}");
    }

    #[test]
    fn steps_of_an_axis_are_round() {
        for (least, step) in [(0.3, 0.5), (1.0, 1.0), (9.2, 10.0), (1_300.0, 2_000.0)] {
            assert!(
                (nice(least) - step).abs() < 1e-9,
                "{least}: {}",
                nice(least)
            );
        }
    }
}
