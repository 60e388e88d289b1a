"""The bus on Kafka, with stock's topics: controllers and invokers of both kinds meet on them.

`topics.py` says what stock's topics are; `publisher.py` and `reader.py` are threads around the blocking library;
`bus.py` is their face on the loop.
"""
