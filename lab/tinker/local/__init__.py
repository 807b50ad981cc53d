"""A server on this machine that speaks the Tinker API of SDK 0.38 over real, small models on the CPU.

For tests, and for trying a training before it costs money. One person's, on loopback: no users, no billing, no queue.
"""
