"""Makes C, Swift and pages from the .proto files.

The files are compiled by protoc to descriptors (`compiler`), which become a small model (`load`,
`model`) that is checked against the project's rules (`rules`); each kind of output is rendered from
the model alone (`c_*`, `swift_*`, `pages`), and `output` writes what changed.
"""
