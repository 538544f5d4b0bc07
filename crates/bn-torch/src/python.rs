//! The text of modules.

/// A module that PyTorch lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Residual,
    Concat,
    FlattenChannelsLast,
    UnflattenChannelsLast,
    LayerNormOfPixels,
    BookDropout,
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Residual => "Residual",
            Self::Concat => "Concat",
            Self::FlattenChannelsLast => "FlattenChannelsLast",
            Self::UnflattenChannelsLast => "UnflattenChannelsLast",
            Self::LayerNormOfPixels => "LayerNormOfPixels",
            Self::BookDropout => "BookDropout",
        }
    }

    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::Residual => {
                r#"class Residual(nn.Module):
    """body(x) + shortcut(x), or body(x) + x."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)
"#
            }
            Self::Concat => {
                r#"class Concat(nn.Module):
    """The outputs of the branches, one after the other: columns, or channels."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)
"#
            }
            Self::FlattenChannelsLast => {
                r#"class FlattenChannelsLast(nn.Module):
    """(N, C, H, W) to (N, H*W*C)."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)
"#
            }
            Self::UnflattenChannelsLast => {
                r#"class UnflattenChannelsLast(nn.Module):
    """(N, H*W*C) to (N, C, H, W)."""

    def __init__(self, height, width, channels):
        super().__init__()
        self.image = (height, width, channels)

    def forward(self, x):
        return x.unflatten(1, self.image).permute(0, 3, 1, 2)
"#
            }
            Self::LayerNormOfPixels => {
                r#"class LayerNormOfPixels(nn.LayerNorm):
    """Normalises the channels of each pixel of (N, C, H, W)."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
"#
            }
            Self::BookDropout => {
                r#"class BookDropout(nn.Module):
    """Dropout that scales in evaluation."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        return x * (torch.rand_like(x) > self.p) if self.training else x * (1 - self.p)
"#
            }
        }
    }
}

/// `nn.Sequential(…)` of these modules.
pub(crate) fn sequential(modules: &[String]) -> String {
    match modules {
        [] => "nn.Sequential()".to_owned(),
        modules => {
            let lines: String = modules.iter().map(|module| indented(module)).collect();
            format!("nn.Sequential(\n{lines})")
        }
    }
}

/// An argument on lines of its own.
pub(crate) fn indented(argument: &str) -> String {
    let lines: Vec<String> = argument.lines().map(|line| format!("    {line}")).collect();
    format!("{},\n", lines.join("\n"))
}

/// A float.
pub(crate) fn float(value: f64) -> String {
    format!("{value:?}")
}

/// `(rows, columns)`, or one number for both.
pub(crate) fn pair((rows, columns): (usize, usize)) -> String {
    match rows == columns {
        true => rows.to_string(),
        false => format!("({rows}, {columns})"),
    }
}

/// Padding `[top, left, bottom, right]` in the order of PyTorch.
pub(crate) fn sides([top, left, bottom, right]: [usize; 4]) -> String {
    format!("({left}, {right}, {top}, {bottom})")
}
