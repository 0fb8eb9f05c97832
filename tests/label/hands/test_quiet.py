import os
import subprocess
import sys
import threading
from pathlib import Path

from hamster.label.hands.quiet import without_logs

LOGS = (
    b"W0000 00:00:1795993207.861740    5181 inference_feedback_manager.cc:114] Feedback manager requires a model\n"
    b"I0000 00:00:1795993207.861740 12 gl_context.cc:357] GL version: 3.2\n"
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
)


def test_log_lines_of_libraries_are_dropped_and_ours_pass(capfd):
    with without_logs():
        os.write(2, LOGS)
        sys.stderr.write("a line of ours\n")
        os.write(2, b"F0000 nobody knows this form\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "a line of ours\nF0000 nobody knows this form\nafterwards\n"


def test_threads_share_it_and_the_last_one_puts_standard_error_back(capfd):
    barrier = threading.Barrier(4)

    def work(number):
        for _ in range(50):
            with without_logs():
                os.write(2, LOGS)
        barrier.wait()
        with without_logs():
            barrier.wait()
            os.write(2, f"line of {number}\n".encode())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(capfd.readouterr().err.splitlines()) == [f"line of {n}" for n in range(4)]


def test_an_error_inside_puts_it_back_and_a_closed_one_stays_closed():
    code = (
        "import os\nfrom hamster.label.hands.quiet import without_logs\n"
        "try:\n    with without_logs():\n        raise KeyError\nexcept KeyError:\n    os.write(2, b'back')\n"
        "os.close(2)\nwith without_logs():\n    pass\n"
        "try:\n    os.fstat(2)\nexcept OSError:\n    print('closed')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (ran.stderr, ran.stdout.strip()) == (b"back", b"closed")


def test_labelling_with_mediapipe_says_nothing_of_its_own(tmp_path):
    code = (
        "import numpy as np\nfrom hamster.label.hands.mediapipe import MediaPipeHands\n"
        "try:\n    detector = MediaPipeHands()\nexcept (ValueError, ImportError):\n    raise SystemExit(0)\n"
        "for _ in range(2):\n    detector(np.full((90, 120, 3), 120, np.uint8))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(tmp_path))
    assert ran.stderr == b""
