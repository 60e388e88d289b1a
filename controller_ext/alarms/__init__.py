"""Alarms: triggers that are fired by the clock, behind the feeds of the package `/whisk.system/alarms`.

A feed's action calls the API (`controller_ext/api/alarms.py`), which writes a document an alarm. The balancer process
reads the documents and fires (`keeper.py`), by the API and with the key that the alarm was made with.

Pure: `dates.py` and `schedule.py` say when, `feed.py` what a client may ask for and what it is told, `machine.py` what
happens when. Source of names, texts and rules: openwhisk-package-alarms, its action and its provider.
"""
