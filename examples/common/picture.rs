//! Pictures. They are drawn as SVG; a PNG is rendered from the SVG, so both look alike.

use crate::output;
use anyhow::{Context, Result, anyhow, bail};
use plotters::{coord::Shift, prelude::*, style::register_font};
use std::path::Path;

/// What an example draws on.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    #[cfg(feature = "png")]
    Png,
    Svg,
}

impl Format {
    /// The format that the file name's ending selects.
    pub fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        match ending.to_lowercase().as_str() {
            #[cfg(feature = "png")]
            "png" => Ok(Self::Png),
            #[cfg(not(feature = "png"))]
            "png" => bail!(
                "cannot draw {}: this program was built without the feature png; name an .svg",
                path.display()
            ),
            "svg" => Ok(Self::Svg),
            _ => bail!(
                "cannot draw {}: the name of a picture must end in .png or .svg",
                path.display()
            ),
        }
    }
}

/// Draws a picture of `size` pixels to `path`. It should be twice as large as it will be shown.
pub fn save(
    path: &Path,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<()> {
    let content = render(Format::of(path)?, size, draw);
    let content = content.with_context(|| format!("cannot draw {}", path.display()))?;
    output::write_whole(path, &content)
}

fn render(
    format: Format,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<Vec<u8>> {
    // The system's fonts are not used: a container has none, and pictures should not depend on them.
    let fonts = [
        (FontStyle::Normal, dejavu::sans::regular()),
        (FontStyle::Bold, dejavu::sans::bold()),
    ];
    for (style, bytes) in fonts {
        register_font("sans-serif", style, bytes).map_err(|_| anyhow!("the font is damaged"))?;
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        area.present()?;
    }
    match format {
        Format::Svg => Ok(svg.into_bytes()),
        #[cfg(feature = "png")]
        Format::Png => png(&svg, size, fonts.map(|(_, bytes)| bytes)),
    }
}

#[cfg(feature = "png")]
fn png(svg: &str, size: (u32, u32), fonts: [&[u8]; 2]) -> Result<Vec<u8>> {
    use resvg::{tiny_skia, usvg};

    let mut options = usvg::Options::default();
    for font in fonts {
        options.fontdb_mut().load_font_data(font.to_vec());
    }
    options.fontdb_mut().set_sans_serif_family("DejaVu Sans");
    let tree = usvg::Tree::from_str(svg, &options)?;
    let mut pixels =
        tiny_skia::Pixmap::new(size.0, size.1).context("a picture needs a width and a height")?;
    resvg::render(
        &tree,
        tiny_skia::Transform::identity(),
        &mut pixels.as_mut(),
    );
    Ok(pixels.encode_png()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_selects_the_format() {
        let of = |name: &str| Format::of(Path::new(name));
        #[cfg(feature = "png")]
        assert_eq!(of("a.png").unwrap(), Format::Png);
        #[cfg(not(feature = "png"))]
        assert!(
            of("a.png")
                .unwrap_err()
                .to_string()
                .contains("without the feature png")
        );
        assert_eq!(of("folder.d/a.SVG").unwrap(), Format::Svg);
        for name in ["a.jpg", "png", "a", ".png", ""] {
            let error = of(name).unwrap_err().to_string();
            assert!(error.ends_with("must end in .png or .svg"), "{error}");
        }
    }

    #[test]
    #[cfg(feature = "png")]
    fn text_is_drawn_without_a_font_of_the_system() {
        let picture = |text: &'static str| {
            let draw = move |area: &Area<'_>| {
                Ok(area.draw(&Text::new(text, (10, 10), ("sans-serif", 40)))?)
            };
            render(Format::Png, (200, 60), draw).unwrap()
        };
        assert!(picture("").starts_with(b"\x89PNG\r\n\x1a\n"));
        assert_ne!(picture(""), picture("accuracy"));
    }
}
