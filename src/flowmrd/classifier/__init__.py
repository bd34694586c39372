"""Normal reference, patient LAIP, library, classifier, in-silico spike-in.

Matrices are in decades (0..1 scale x 4.5). The order of use: ``normal_reference.build_reference`` from control tubes,
``patient_laip.find_laip`` from a diagnosis tube, ``classifier.classify_tube`` for every tube. Every number of these is
a field of ``parameters.ClassifierParameters``.
"""
