PRICES = {"bread": 4, "cheese": 9, "wine": 12}


def main(args):
    name, count = args["name"], args.get("count", 1)
    if name not in PRICES:
        return {"error": f"no price for {name}"}
    return {"cost": PRICES[name] * count}
