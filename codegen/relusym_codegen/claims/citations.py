"""Who says it: the sources of the claims."""

NAIR = "Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines, ICML"
DEPTH = "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, AISTATS"
GLOROT = "Glorot, Bordes & Bengio 2011, Deep sparse rectifier neural networks, AISTATS (PMLR 15:315-323)"
KRIZHEVSKY = (
    "Krizhevsky, Sutskever & Hinton 2012, ImageNet classification with deep convolutional neural networks, NIPS"
)
MAAS = "Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models, ICML workshop"
GOODFELLOW = "Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013, Maxout networks, arXiv:1302.4389"
HE = "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, arXiv:1502.01852"
CLEVERT = "Clevert, Unterthiner & Hochreiter 2015, Fast and accurate deep network learning by ELUs, arXiv:1511.07289"
GELU = "Hendrycks & Gimpel 2016, Gaussian error linear units, arXiv:1606.08415"
KLAMBAUER = "Klambauer, Unterthiner, Mayr & Hochreiter 2017, Self-normalizing neural networks, arXiv:1706.02515"
BERTOIN = (
    "Bertoin, Bolte, Gerchinovitz & Pauwels 2021, Numerical influence of ReLU'(0) on backpropagation, arXiv:2106.12915"
)
