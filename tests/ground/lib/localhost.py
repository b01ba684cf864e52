# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Python asks the system for the address of localhost. Imported, this makes it loopback also where /etc/hosts has no entry (RFC 6761 section 6.3)."""
import socket

ask_system = socket.getaddrinfo


def getaddrinfo(host, *args, **kwargs):
    return ask_system('127.0.0.1' if host == 'localhost' else host, *args, **kwargs)


socket.getaddrinfo = getaddrinfo
