"""Disposable lab hosts: real systemd machines in containers, and small stand-ins for the servers outside."""
