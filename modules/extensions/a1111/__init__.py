"""Extensions made for AUTOMATIC1111's web UI: the common part of its interface, in the web process, without models.

Their scripts change a request before it is queued, see finished pictures, and draw through our own queue. Nothing
here is a copy of A1111's state: what a script changes on `p` becomes changes of the request, or is lost.
"""
