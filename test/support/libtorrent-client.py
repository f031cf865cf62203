"""A client on libtorrent that takes peers from the torrent's tracker alone.

    libtorrent-client.py TORRENT-FILE DOWNLOAD-FOLDER PORT

It seeds what the folder already holds, downloads what it lacks, and prints what the tracker answers and every change
of state. SIGINT ends it, after it has told the tracker.
"""

import signal
import sys
import time

import libtorrent

torrent_file, folder, port = sys.argv[1:]
session = libtorrent.session({
    "listen_interfaces": f"0.0.0.0:{port},[::]:{port}",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "alert_mask": libtorrent.alert.category_t.error_notification
    | libtorrent.alert.category_t.tracker_notification
    | libtorrent.alert.category_t.status_notification
    | libtorrent.alert.category_t.connect_notification,
})
torrent = session.add_torrent({"ti": libtorrent.torrent_info(torrent_file), "save_path": folder})
running = True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGINT, stop)
while running:
    for alert in session.pop_alerts():
        print(alert.message(), flush=True)
    time.sleep(0.1)

# A paused torrent tells the tracker that it stopped; the process waits for the answer, but not for ever.
torrent.unset_flags(libtorrent.torrent_flags.auto_managed)
torrent.pause()
answers = (libtorrent.tracker_reply_alert, libtorrent.tracker_error_alert)
deadline = time.monotonic() + 3
answered = False
while not answered and time.monotonic() < deadline:
    for alert in session.pop_alerts():
        print(alert.message(), flush=True)
        answered = answered or isinstance(alert, answers)
    time.sleep(0.05)
