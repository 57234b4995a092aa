"""What stops the generator."""


class GeneratorError(Exception):
    """The .proto files say something that nothing can be made of; the message names it."""
