"""What a hostile client may try on the client port; short in `test_http2_attacks.py`, long by `make attacks`."""
