"""How Gradio's own components look: paper, ink and one accent, in fonts that the reader's system has."""

from __future__ import annotations

from gradio.themes import Base
from gradio.themes.utils import sizes
from gradio.themes.utils.colors import Color

_INK_BLUE = Color(
    name="ink-blue", c50="#eef3f6", c100="#dbe6ec", c200="#b9ced9", c300="#8fb0c1", c400="#6793a9", c500="#45768f",
    c600="#2f5f78", c700="#264d62", c800="#203f50", c900="#1b3442", c950="#12232d",
)  # fmt: skip
_PAPER = Color(
    name="paper", c50="#fdfcfa", c100="#f7f5f0", c200="#ece8e0", c300="#dcd6cb", c400="#a8a196", c500="#7c766c",
    c600="#5d5850", c700="#45413b", c800="#2d2a26", c900="#211f1c", c950="#191715",
)  # fmt: skip
_SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def paper_theme() -> Base:
    theme = Base(
        primary_hue=_INK_BLUE, secondary_hue=_INK_BLUE, neutral_hue=_PAPER, radius_size=sizes.radius_md,
        text_size=sizes.text_md, font=_SANS, font_mono=_MONO,
    )  # fmt: skip
    return theme.set(
        body_background_fill="*neutral_100",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="#ebe6dc",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="*neutral_50",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_950",
        border_color_primary="*neutral_300",
        border_color_primary_dark="*neutral_700",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_padding="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_300",
        block_title_text_weight="600",
        input_background_fill="*neutral_50",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_border_width_dark="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color="white",
        button_primary_text_color_dark="*neutral_950",
        button_secondary_background_fill="*neutral_50",
        button_secondary_background_fill_hover="*neutral_200",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_border_width="1px",
        button_large_padding="8px 16px",
        button_large_text_size="*text_md",
        button_large_text_weight="600",
        button_small_text_weight="400",
    )
