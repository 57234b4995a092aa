/// Keys in both encrypted forms; the pass phrase is "x", and they open nothing.
let encryptedKeys = [
  """
  -----BEGIN ENCRYPTED PRIVATE KEY-----
  MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhIhj7fLXuamwICCAAw
  DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAg1yxs3M9dv3lT8wVHTaPsEgZCv
  ug8rCvr6o3i3lnQlbGQsQBM8Lx2Dg/7e6xWjI/pbL6F4eBuEwWiqMgpzW/JE2vnO
  d1zP2FXfS72J1kCEI03UohG0ZecgOWm4O2EcAOfWGruIwmY0F70e8yQNkqaC89W0
  tGpgYjk852B2BtpzgIBuVQBWeIuGOB5nTQKYVEAAlamnIi6jgEQxHjeVpXg56is=
  -----END ENCRYPTED PRIVATE KEY-----
  """,
  """
  -----BEGIN EC PRIVATE KEY-----
  Proc-Type: 4,ENCRYPTED
  DEK-Info: AES-128-CBC,9D2D7BF344B5BBADE3A83171D0475162

  Mq6dVwcqyC6fnsQ1sYPLm9+ceoEDYWj1U7Y3pJKFjWqUNHBa1wxu4LK9GMRAYf9e
  6CWfgITP29c81Mpi19nNoZSYFIvvqrwsCWLGJAlXkeoqPO3IKXhTGeuNlMMw22Ev
  HhM26FLuxeznr0cgpxarzeVdRx/gafqN5+OnjgDVX6E=
  -----END EC PRIVATE KEY-----
  """,
]
