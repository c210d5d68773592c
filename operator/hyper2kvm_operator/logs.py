"""The operator's own log: one JSON object a line, or text."""

import json
import logging
import sys

_FIELDS = ("migration",)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and the object it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """A record as one line for people, with the object it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the base class names it so
        """The line, without an exception's trace."""
        about = [str(getattr(record, name)) for name in _FIELDS if hasattr(record, name)]
        record.message = ": ".join([*about, record.message])
        return super().formatMessage(record)


def configure(form: str) -> None:
    """Send the log to standard error, as `json` or `text`. kopf's own chatter is kept to warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
