"""A stand-in for Arize AX: its REST API as far as datasets and experiments go, and its collector.

    .venv-arize/bin/python tests/support/arize_stand_in --port 8080

Every request body is validated by the models that the official package `arize` generates from AX's own
specification. What the specification leaves open is chosen so that it is hardest on clients, or can be
chosen by a test (`PUT /control/settings`). It proves what a client does, not what the real server does.
"""

from __future__ import annotations

import argparse

from server import StandIn


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--otlp-grpc-port", type=int, default=0, help="a collector over gRPC, for the official client")
    given = parser.parse_args()
    stand_in = StandIn()
    sink = None
    if given.otlp_grpc_port:
        from grpc_sink import start

        sink = start(given.otlp_grpc_port, stand_in)  # without a name it would be gone at once
    stand_in.serve(given.port)
    del sink


if __name__ == "__main__":
    main()
