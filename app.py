"""Start the page."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from bwcoach.backends.load import choose_auto
from bwcoach.errors import BwcoachError
from bwcoach.models import card_for, installed_models
from bwcoach.ui import LAUNCH, build_ui


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="app.py", description="Serve the page, to this machine alone by default.")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    parser.add_argument("--port", type=int, default=7860, help="default: 7860")
    parser.add_argument("--model", default="auto", metavar="auto|NAME|PATH|URL", help="the model chosen at first")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    options = parser.parse_args(arguments)
    try:
        model, why = choose_auto() if options.model == "auto" else (options.model, "")
        card_for(model)
    except BwcoachError as error:
        print(error, file=sys.stderr)
        return 2
    models = tuple(dict.fromkeys([model, *installed_models()]))
    print(f"Serving http://{options.host}:{options.port} with the model {model}; Ctrl+C ends it.", flush=True)
    # Gradio asks its own address whether it is up, which is nothing for a proxy that this machine may use.
    own = (options.host, "127.0.0.1", "localhost")
    os.environ["no_proxy"] = ",".join(filter(None, [os.environ.get("no_proxy"), *own]))
    try:
        build_ui(models, model, why).launch(
            server_name=options.host, server_port=options.port, inbrowser=not options.no_browser, **LAUNCH
        )
    except OSError as error:
        print(f"The page cannot be served there ({error}); choose another --port or --host.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
