"""Tells whether the Hugging Face hub can be reached, before a library would try for half a minute."""

from __future__ import annotations

import ssl
import threading
import urllib.error
import urllib.request


def hub_answers(seconds: float) -> bool:
    """Whether the hub answers a request; `False` if the environment asks to stay offline (`HF_HUB_OFFLINE`).

    Args:
        seconds: Longest time to wait.
    """
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and answers(constants.ENDPOINT, seconds)


def answers(url: str, seconds: float) -> bool:
    """Whether anything answers a request to an address, through the environment's proxies; asks once.

    Args:
        url: The address.
        seconds: Longest time to wait.
    """
    found = threading.Event()

    def ask() -> None:
        if _answers(url, seconds):
            found.set()

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name may hang, which no timeout ends
    thread.start()
    thread.join(seconds)
    return found.is_set()


def _answers(url: str, seconds: float) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # let the library judge a proxy's certificate
    except (OSError, ValueError):
        return False
