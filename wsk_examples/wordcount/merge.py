def main(args):
    first, *others = args["counts"] or [{}]
    words = dict(first)
    get = words.get
    for counts in others:
        for word, count in counts.items():
            words[word] = get(word, 0) + count
    return {"words": words}
