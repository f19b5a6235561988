"""The page. Everything it needs is on this machine: no analytics, no fonts or scripts from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from bwcoach.ui.coach_tab import build_coach_tab
from bwcoach.ui.compare_tab import build_compare_tab
from bwcoach.ui.desk import Desk
from bwcoach.ui.settings import build_settings
from bwcoach.ui.theme import paper_theme

_HERE = Path(__file__).parent
_MOST_WAITING = 32
_MOST_SESSIONS = 200
_UPLOADS_KEPT_SECONDS = 3600

LAUNCH: dict[str, Any] = {
    "theme": paper_theme(),
    "css_paths": _HERE / "style.css",
    "favicon_path": _HERE / "icon.svg",
    "footer_links": [],
    "share": False,
    "show_error": False,
    "enable_monitoring": False,
    "run_history": False,
    "allowed_paths": [],
    "max_file_size": "1mb",
    "state_session_capacity": _MOST_SESSIONS,
    "ssr_mode": False,
    "mcp_server": False,
    "pwa": False,
    "quiet": True,
}
"""How the page is launched, wherever it is: it looks like this, keeps nothing, and serves no file but its own."""


def build_ui(models: Sequence[str], default: str, why: str = "", desk: Desk | None = None) -> gr.Blocks:
    """The whole page. `models` can be chosen, `default` is at first, and `why` says why; `desk` lends them."""
    desk = desk or Desk()
    kept = (_UPLOADS_KEPT_SECONDS, _UPLOADS_KEPT_SECONDS)
    page = gr.Blocks(title="bwcoach", analytics_enabled=False, fill_width=True, delete_cache=kept)
    with page:
        gr.HTML(
            "<h1>bwcoach</h1><p>Marks the weak places of a draft as a rubric sees them, and asks before it tells.</p>",
            apply_default_css=False, elem_classes="masthead",
        )
        settings = build_settings(models, default, why, desk)
        with gr.Tabs():
            with gr.Tab("Coach", id="coach"):
                draft = build_coach_tab(settings, desk)
            with gr.Tab("Compare", id="compare"):
                build_compare_tab(settings, draft, desk)

        def leave(request: gr.Request) -> None:
            desk.leave(str(request.session_hash))

        page.unload(leave)
    page.queue(max_size=_MOST_WAITING, default_concurrency_limit=1, api_open=False)
    return page
