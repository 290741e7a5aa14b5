"""Composite tools over several endpoints: some only read, the others make a plan that the pipeline approves and runs.

Audits (`audit`) and folders of integrations (`publishing`) have packages of their own.
"""
