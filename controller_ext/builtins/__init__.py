"""What every installation offers in the namespace `whisk.system`: packages that anybody may use.

`packages.py` says which packages and actions there are and what is told of them, `actions/PACKAGE/` holds their code as
plain action files, `install.py` puts them into the store. Names, parameters, results and annotations are those of
stock's catalog (openwhisk-catalog: utils, samples); the code is ours, in Python.
"""
