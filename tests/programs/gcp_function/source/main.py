import os


def hello(request):
    return os.environ["GREETING"]
